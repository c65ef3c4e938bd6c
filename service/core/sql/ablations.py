"""The statements about ablations. The jobs of one carry their arm."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import RowMapping

from service.core.records.ablation import Ablation, Arm, Design, Run
from service.core.records.job import Status, StopReason
from service.core.records.submission import NOWHERE, IdempotencyKey, NewJob, Origin
from service.core.sql.experiments import DesignedExperiments
from service.core.sql.tables import ablations, epochs, jobs

_OF_RUN = (
    jobs.c.id,
    jobs.c.arm,
    jobs.c.spec,
    jobs.c.status,
    jobs.c.stop_reason,
    epochs.c.val_loss,
    epochs.c.val_accuracy,
)


class Ablations(DesignedExperiments[Ablation]):
    """The ablations of all tenants."""

    table, column, noun, prefix = ablations, "ablation", "ablation", "abl"

    def add(
        self, tenant: str, design: Design, key: IdempotencyKey | None = None, origin: Origin = NOWHERE
    ) -> tuple[str, tuple[str, ...]]:
        """Insert an ablation and its jobs, as `Experiments._insert` says; returns its id and those of new jobs."""
        arms = [{"name": arm.name, "patch": arm.patch} for arm in design.arms]
        row = {"spec": design.spec.to_dict(), "arms": arms, "seeds": list(design.seeds)}
        new = [NewJob.planned(plan, replace(origin, patch=arm.patch, arm=arm.name)) for arm, plan in design.jobs]
        return self._insert(tenant, row, new, key)

    def get(self, tenant: str, ablation_id: str) -> tuple[Ablation, tuple[Run, ...]]:
        """An ablation and its jobs, in the order in which they were queued. Raises NotFound."""
        ablation, rows = self._get(tenant, ablation_id, _OF_RUN)
        return ablation, tuple(_run(row) for row in rows)

    def _record(self, row: RowMapping, counts: Mapping[Status, int]) -> Ablation:
        arms = tuple(Arm(**stored) for stored in row["arms"])
        return Ablation(row["id"], row["spec"], arms, tuple(row["seeds"]), row["created_at"], counts)


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        arm=row["arm"],
        seed=row["spec"]["seed"],
        status=Status(row["status"]),
        stop_reason=StopReason(row["stop_reason"]) if row["stop_reason"] else None,
        val_loss=row["val_loss"],
        val_accuracy=row["val_accuracy"],
    )
