"""The statements about fits for their owners and readers. Their trials are ordinary jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, func, insert, select, update

from service.core.errors import Conflict
from service.core.records.fit import BASE, Fit, FitPhase, FitStatus, StepKind, TrialResult
from service.core.records.fit_request import FitRequest
from service.core.records.job import Status
from service.core.records.submission import NOWHERE, IdempotencyKey, NewJob, Origin
from service.core.sql.clock import now
from service.core.sql.experiments import Experiments
from service.core.sql.fit_rows import fit_of, steps_of
from service.core.sql.jobs.rows import kept_scores
from service.core.sql.tables import WITH_BEST, epochs, fit_steps, fits, jobs


@dataclass(frozen=True)
class NewFit:
    """A fit to be stored, with the job of its base and the data of its first step."""

    request: FitRequest
    name: str | None
    labels: Mapping[str, str]
    webhook: Mapping[str, Any] | None
    base: NewJob
    data: Mapping[str, Any]


class Fits(Experiments[Fit]):
    """The fits of all tenants."""

    table, column, noun, prefix = fits, "fit", "fit", "fit"

    def add(
        self, tenant: str, new: NewFit, key: IdempotencyKey | None = None, origin: Origin = NOWHERE
    ) -> tuple[str, tuple[str, ...]]:
        """Insert a fit with the job of its base, as `Experiments._insert` does: its id, and that of the new job."""
        row = {
            "request": new.request.to_dict(),
            "name": new.name,
            "labels": dict(new.labels),
            "webhook": new.webhook,
            "status": FitStatus.RUNNING,
            "phase": FitPhase.SEARCH,
            "cancel_requested": False,
            "attempt": 0,
            "version": 1,
        }
        base = replace(new.base, origin=replace(origin, trial=BASE))
        first = {"kind": StepKind.START, "trial": BASE, "data": dict(new.data)}

        def begun(c: Connection, fit_id: str, job_ids: Sequence[str]) -> None:
            c.execute(insert(fit_steps).values(fit_id=fit_id, number=1, at=now(), job_id=job_ids[0], **first))

        return self._insert(tenant, row, [base], key, begun)

    def get(self, tenant: str, fit_id: str) -> Fit:
        """A fit with its steps. Raises NotFound."""
        with self._db.read() as c:
            return fit_of(self._row(c, tenant, fit_id), steps_of(c, fit_id))

    def jobs_of(self, tenant: str, fit_id: str) -> tuple[tuple[str, Status], ...]:
        """The ids and statuses of a fit's jobs, in the order in which they were queued."""
        query = select(jobs.c.id, jobs.c.status).where(jobs.c.tenant == tenant, jobs.c.fit == fit_id)
        with self._db.read() as c:
            return tuple((row.id, Status(row.status)) for row in c.execute(query.order_by(jobs.c.seq)))

    def results(self, fit: Fit) -> tuple[TrialResult, ...]:
        """The jobs that train for a fit with the measures of their best epochs so far, in the order in which they were
        queued.
        """
        measures = [epochs.c.val_loss, epochs.c.val_accuracy, epochs.c[fit.request.objective].label("value")]
        whole = epochs.alias("whole")
        spent = select(func.sum(whole.c.seconds)).where(whole.c.job_id == jobs.c.id).scalar_subquery().label("seconds")
        query = select(jobs.c.id, jobs.c.status, jobs.c.last_epoch, jobs.c.more_facts, *measures, spent).select_from(
            WITH_BEST
        )
        with self._db.read() as c:
            rows = c.execute(query.where(jobs.c.fit == fit.id).order_by(jobs.c.seq)).mappings().all()
        scoring = {step.job_id for step in fit.steps if step.kind is StepKind.TEST}
        return tuple(_result(row, fit.request.objective) for row in rows if row["id"] not in scoring)

    def cancel(self, tenant: str, fit_id: str) -> bool:
        """Ask the conductor to end a running fit; False if it had ended or was cancelled before. Raises NotFound."""
        with self._db.write() as c:
            self._row(c, tenant, fit_id)
            is_open = and_(fits.c.id == fit_id, fits.c.status == FitStatus.RUNNING, ~fits.c.cancel_requested)
            asked = {"cancel_requested": True, "version": fits.c.version + 1}
            changed = c.execute(update(fits).where(is_open).values(**asked)).rowcount > 0
        if changed:
            self._on_change(fit_id)
        return changed

    def _read_all(self, c: Connection, rows: Sequence[RowMapping]) -> tuple[Fit, ...]:
        return tuple(fit_of(row, ()) for row in rows)

    def _refuse_running(self, c: Connection, row: RowMapping) -> None:
        if row["status"] == FitStatus.RUNNING:
            raise Conflict("the fit has not ended; cancel it first, or wait")


def _result(row: RowMapping, objective: str) -> TrialResult:
    """The job of a row with the scores of its model."""
    scores = {**row, objective: row["value"], **kept_scores(row)}
    return TrialResult(
        row["id"],
        Status(row["status"]),
        row["last_epoch"] or 0,
        scores["val_loss"],
        scores["val_accuracy"],
        scores[objective],
        row["seconds"] or 0.0,
    )
