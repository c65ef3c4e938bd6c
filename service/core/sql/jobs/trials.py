"""How a fit resumes a paused trial, within a transaction of its conductor."""

from sqlalchemy import Connection

from service.core.errors import Conflict
from service.core.records.job import Status
from service.core.sql.jobs.queue_order import next_turn
from service.core.sql.jobs.transitions import locked, queue_again
from service.core.sql.tables import jobs


def resume_until(c: Connection, tenant: str, job_id: str, pause_after: int | None) -> None:
    """Queue a paused job again, to be paused after that epoch (None: to be trained to its end). The dispatcher sends
    its hint, the caller announces the change after the commit. Raises NotFound, and Conflict for a job that is not
    paused.
    """
    row = locked(c, tenant, job_id)
    if row["status"] != Status.PAUSED:
        raise Conflict(f"the job is {row['status']}, not paused")
    values = {"turn": next_turn(c, tenant, row["priority"]), "pause_after": pause_after}
    queue_again(c, jobs.c.id == job_id, values)
