"""What running fits need: the jobs that they have trained, and what those use."""

from sqlalchemy import ColumnElement, Connection, exists, select

from service.core.errors import Conflict
from service.core.records.fit import FitStatus
from service.core.sql.tables import fits, jobs


def is_of_running_fit() -> ColumnElement[bool]:
    """The condition on a job that its fit has not ended."""
    return exists().where(fits.c.id == jobs.c.fit, fits.c.status == FitStatus.RUNNING)


def refuse_of_running_fit(c: Connection, condition: ColumnElement[bool], what: str) -> None:
    """Raise Conflict while a job that matches the condition belongs to a running fit, which uses `what`."""
    query = select(jobs.c.fit).where(condition, is_of_running_fit()).limit(1)
    if fit_id := c.execute(query).scalar():
        raise Conflict(f"fit {fit_id} uses {what}; cancel the fit first, or wait until it ends")
