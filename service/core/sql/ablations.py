"""Every SQL statement about ablations. Their jobs are ordinary ones that carry the ablation's id and their arm."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select

from service.core.errors import Conflict, NotFound
from service.core.experiments.design import ALL, BASE, Arm, Design
from service.core.records.job import TERMINAL, Status, StopReason
from service.core.records.quotas import UNLIMITED, Quotas
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.jobs.insert import IdempotencyKey, Origin, insert_job, job_of_key
from service.core.sql.tables import ablations, epochs, jobs
from service.core.sql.usage import refuse_another_job


class AblationStatus(StrEnum):
    """Where an ablation stands."""

    RUNNING = "running"  # jobs of it have not ended
    DONE = "done"  # all have
    CANCELLED = "cancelled"  # all have, some of them by being cancelled


@dataclass(frozen=True)
class Ablation:
    """One ablation as stored, at `created_at` (unix seconds), and how many of its jobs have which status."""

    id: str
    spec: Mapping[str, Any]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    created_at: float
    counts: Mapping[Status, int]

    @property
    def factors(self) -> tuple[str, ...]:
        return tuple(arm.name for arm in self.arms if arm.name not in (BASE, ALL))

    @property
    def status(self) -> AblationStatus:
        if any(count for status, count in self.counts.items() if status not in TERMINAL):
            return AblationStatus.RUNNING
        return AblationStatus.CANCELLED if self.counts[Status.CANCELLED] else AblationStatus.DONE


@dataclass(frozen=True)
class Run:
    """One job of an ablation, with the measures of its best epoch (null where it has none)."""

    id: str
    arm: str
    seed: int
    status: Status
    stop_reason: StopReason | None
    val_loss: float | None
    val_accuracy: float | None

    @property
    def result(self) -> float | None:
        """What the run counts with: null unless it came to its own end. One that was cut short says nothing of its
        arm; one that diverged kept its best model, as its arm would anywhere.
        """
        is_whole = self.status is Status.SUCCEEDED or self.stop_reason is StopReason.DIVERGED
        return self.val_loss if is_whole else None


@dataclass(frozen=True)
class AblationPage:
    """Ablations, newest first, and where the next page begins (None at the end)."""

    ablations: tuple[Ablation, ...]
    next_seq: int | None


class Ablations:
    """The ablations. `on_change` is called with the id of each job after the commit that queued it."""

    def __init__(
        self,
        database: Database,
        on_change: Callable[[str], None] = lambda job_id: None,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self._db = database
        self._on_change = on_change
        self._quotas = quotas

    def known(self, tenant: str, key: IdempotencyKey) -> str | None:
        """The ablation of a former request with this key, which its first job carries. Raises KeyReused."""
        with self._db.read() as c:
            job = job_of_key(c, tenant, key)
        return job.ablation if job else None

    def add(self, tenant: str, design: Design, key: IdempotencyKey | None = None) -> tuple[str, tuple[str, ...]]:
        """Insert an ablation and all of its jobs, or nothing; the caller sends the hints after this returns.

        Returns its id and theirs; of a key that was used before, those of the former request. Raises KeyReused,
        QuotaExceeded, and Conflict where the data set is gone by now.
        """
        ablation_id, added = f"abl_{secrets.token_hex(10)}", list[str]()
        arms = [{"name": arm.name, "patch": arm.patch} for arm in design.arms]
        with self._db.write() as c:
            if key and (job := job_of_key(c, tenant, key)) and job.ablation:
                return job.ablation, ()
            refuse_another_job(c, tenant, self._quotas, len(design.jobs))
            c.execute(
                insert(ablations).values(
                    id=ablation_id, tenant=tenant, spec=design.spec.to_dict(), arms=arms, seeds=list(design.seeds),
                    created_at=now(),
                )
            )  # fmt: skip
            for arm, plan in design.jobs:
                job_id, origin = f"job_{secrets.token_hex(10)}", Origin(None, arm.patch, None, ablation_id, arm.name)
                insert_job(
                    c, tenant, job_id, plan.spec, None if added else key, plan.warnings, plan.splits, origin,
                    plan.memory.process_bytes,
                )  # fmt: skip
                added.append(job_id)
        for job_id in added:
            self._on_change(job_id)
        return ablation_id, tuple(added)

    def get(self, tenant: str, ablation_id: str) -> tuple[Ablation, tuple[Run, ...]]:
        """An ablation and its jobs, in the order in which they were queued. Raises NotFound."""
        source = jobs.outerjoin(epochs, and_(epochs.c.job_id == jobs.c.id, epochs.c.epoch == jobs.c.best_epoch))
        wanted = select(
            jobs.c.id, jobs.c.arm, jobs.c.spec, jobs.c.status, jobs.c.stop_reason,
            epochs.c.val_loss, epochs.c.val_accuracy,
        ).select_from(source)  # fmt: skip
        with self._db.read() as c:
            row = _row(c, tenant, ablation_id)
            found = c.execute(wanted.where(jobs.c.ablation == ablation_id).order_by(jobs.c.seq)).mappings().all()
        runs = tuple(_run(job) for job in found)
        counts = dict.fromkeys(Status, 0)
        for run in runs:
            counts[run.status] += 1
        return _ablation(row, counts), runs

    def list(self, tenant: str, limit: int, before_seq: int | None = None) -> AblationPage:
        """A page of at most `limit` ablations, newest first."""
        where = [ablations.c.tenant == tenant]
        if before_seq is not None:
            where.append(ablations.c.seq < before_seq)
        wanted = select(ablations).where(*where).order_by(ablations.c.seq.desc()).limit(limit + 1)
        with self._db.read() as c:
            rows = c.execute(wanted).mappings().all()
            counts = _counts(c, [row["id"] for row in rows[:limit]])
        found = tuple(_ablation(row, counts[row["id"]]) for row in rows[:limit])
        return AblationPage(found, rows[limit - 1]["seq"] if len(rows) > limit else None)

    def delete(self, tenant: str, ablation_id: str) -> None:
        """Forget an ablation whose jobs have all ended; they stay. Raises NotFound, and Conflict while one lives."""
        with self._db.write() as c:
            _row(c, tenant, ablation_id)
            living = select(jobs.c.id).where(jobs.c.ablation == ablation_id, jobs.c.status.not_in(TERMINAL))
            if job_id := c.execute(living.limit(1)).scalar():
                raise Conflict(f"job {job_id} of the ablation has not ended; cancel the ablation first, or wait")
            c.execute(delete(ablations).where(ablations.c.id == ablation_id))


def _row(c: Connection, tenant: str, ablation_id: str) -> RowMapping:
    wanted = select(ablations).where(ablations.c.tenant == tenant, ablations.c.id == ablation_id)
    row = c.execute(wanted).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no ablation {ablation_id!r}")
    return row


def _counts(c: Connection, ids: Sequence[str]) -> Mapping[str, Mapping[Status, int]]:
    counted = select(jobs.c.ablation, jobs.c.status, func.count()).where(jobs.c.ablation.in_(ids))
    counts = {ablation_id: dict.fromkeys(Status, 0) for ablation_id in ids}
    for ablation_id, status, count in c.execute(counted.group_by(jobs.c.ablation, jobs.c.status)):
        counts[ablation_id][Status(status)] = count
    return counts


def _ablation(row: RowMapping, counts: Mapping[Status, int]) -> Ablation:
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
