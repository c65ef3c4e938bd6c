"""The statements about cross-validations. The specs of their jobs have the fold and the seed."""

from collections.abc import Mapping

from sqlalchemy import RowMapping

from service.core.records.folds import SCORES, CrossValidation, FoldRun, FoldsDesign
from service.core.records.job import Status, StopReason
from service.core.records.submission import NOWHERE, IdempotencyKey, NewJob, Origin
from service.core.sql.experiments import DesignedExperiments
from service.core.sql.tables import epochs, folds, jobs

_OF_RUN = (jobs.c.id, jobs.c.spec, jobs.c.status, jobs.c.stop_reason, *(epochs.c[name] for name in SCORES))


class CrossValidations(DesignedExperiments[CrossValidation]):
    """The cross-validations of all tenants."""

    table, column, noun, prefix = folds, "folds", "cross-validation", "fld"

    def add(
        self, tenant: str, design: FoldsDesign, key: IdempotencyKey | None = None, origin: Origin = NOWHERE
    ) -> tuple[str, tuple[str, ...]]:
        """Insert a cross-validation and its jobs, as `Experiments._insert` does: its id, and those of its new jobs."""
        row = {"spec": design.spec.to_dict(), "folds": design.folds, "seeds": list(design.seeds)}
        return self._insert(tenant, row, [NewJob.planned(plan, origin) for plan in design.jobs], key)

    def get(self, tenant: str, folds_id: str) -> tuple[CrossValidation, tuple[FoldRun, ...]]:
        """A cross-validation and its jobs, in the order in which they were queued. Raises NotFound."""
        found, rows = self._get(tenant, folds_id, _OF_RUN)
        return found, tuple(_run(row) for row in rows)

    def _record(self, row: RowMapping, counts: Mapping[Status, int]) -> CrossValidation:
        return CrossValidation(row["id"], row["spec"], row["folds"], tuple(row["seeds"]), row["created_at"], counts)


def _run(row: RowMapping) -> FoldRun:
    return FoldRun(
        id=row["id"],
        seed=row["spec"]["seed"],
        fold=row["spec"]["dataset"]["fold"]["index"],
        status=Status(row["status"]),
        stop_reason=StopReason(row["stop_reason"]) if row["stop_reason"] else None,
        measures={name: row[name] for name in SCORES},
    )
