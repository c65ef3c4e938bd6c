"""Rows of fits and of their steps to records."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select

from service.core.records.fit import Fit, FitPhase, FitStatus, FitStep, StepKind
from service.core.records.fit_request import FitRequest
from service.core.sql.tables import fit_steps


def fit_of(row: RowMapping, steps: Sequence[FitStep]) -> Fit:
    """The fit of a row, with these steps."""
    names = ("id", "tenant", "name", "labels", "webhook", "cancel_requested", "attempt", "version", "result")
    times = ("created_at", "started_at", "finished_at")
    return Fit(
        **{name: row[name] for name in (*names, *times)},
        request=FitRequest.from_dict(row["request"]),
        status=FitStatus(row["status"]),
        phase=FitPhase(row["phase"]),
        steps=steps,
    )


def steps_of(c: Connection, fit_id: str, after: int = 0) -> tuple[FitStep, ...]:
    """The steps of a fit whose numbers are above `after`, in their order."""
    query = (
        select(fit_steps).where(fit_steps.c.fit_id == fit_id, fit_steps.c.number > after).order_by(fit_steps.c.number)
    )
    return tuple(_step(row) for row in c.execute(query).mappings())


def _step(row: RowMapping) -> FitStep:
    data = dict(row["data"])
    outcome = data.pop("outcome", None)
    names = ("number", "at", "trial", "job_id", "until_epoch")
    return FitStep(**{name: row[name] for name in names}, kind=StepKind(row["kind"]), data=data, outcome=outcome)
