"""The statements about ablations. The jobs of one are ordinary jobs that carry its id and their arm."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select

from service.core.errors import Conflict, NotFound
from service.core.records.ablation import Ablation, Arm, Design, Run
from service.core.records.job import TERMINAL, Status, StopReason
from service.core.records.page import Page
from service.core.records.submission import NOWHERE, IdempotencyKey, NewJob, Origin
from service.core.sql.clock import now
from service.core.sql.jobs.insert import insert_job, job_of_key
from service.core.sql.paging import read_page
from service.core.sql.repository import Repository
from service.core.sql.tables import ablations, epochs, jobs
from service.core.sql.usage import refuse_another_job, refuse_more_messages


class Ablations(Repository):
    """The ablations of all tenants."""

    def submitted_with(self, tenant: str, key: IdempotencyKey) -> str | None:
        """The ablation of a former request with this key, which its first job carries. Raises KeyReused."""
        with self._db.read() as c:
            job = job_of_key(c, tenant, key)
        return job.ablation if job else None

    def add(
        self, tenant: str, design: Design, key: IdempotencyKey | None = None, origin: Origin = NOWHERE
    ) -> tuple[str, tuple[str, ...]]:
        """Insert an ablation and all of its jobs, or nothing; the caller sends the hints after this returns.

        Returns the id of the ablation and those of its new jobs. A second request with the same key gets the ablation
        of the first, which has no new jobs. Raises KeyReused, QuotaExceeded, and Conflict if the data set is gone.
        """
        ablation_id = f"abl_{secrets.token_hex(10)}"
        with self._db.write() as c:
            if key and (job := job_of_key(c, tenant, key)) and job.ablation:
                return job.ablation, ()
            refuse_another_job(c, tenant, self._quotas, len(design.jobs))
            if design.spec.webhook:
                refuse_more_messages(c, tenant, self._quotas)
            _insert(c, tenant, ablation_id, design)
            job_ids = _insert_jobs(c, tenant, design, key, replace(origin, ablation=ablation_id))
        for job_id in job_ids:
            self._on_change(job_id)
        return ablation_id, job_ids

    def get(self, tenant: str, ablation_id: str) -> tuple[Ablation, tuple[Run, ...]]:
        """An ablation and its jobs, in the order in which they were queued. Raises NotFound."""
        source = jobs.outerjoin(epochs, and_(epochs.c.job_id == jobs.c.id, epochs.c.epoch == jobs.c.best_epoch))
        of_job = (jobs.c.id, jobs.c.arm, jobs.c.spec, jobs.c.status, jobs.c.stop_reason)
        query = select(*of_job, epochs.c.val_loss, epochs.c.val_accuracy).select_from(source)
        with self._db.read() as c:
            row = _row(c, tenant, ablation_id)
            job_rows = c.execute(query.where(jobs.c.ablation == ablation_id).order_by(jobs.c.seq)).mappings().all()
        runs = tuple(_run(job_row) for job_row in job_rows)
        counts = dict.fromkeys(Status, 0)
        for run in runs:
            counts[run.status] += 1
        return _ablation(row, counts), runs

    def list(self, tenant: str, limit: int, before_seq: int | None = None) -> Page[Ablation]:
        """A page of at most `limit` ablations, newest first."""
        query = select(ablations).where(ablations.c.tenant == tenant)
        with self._db.read() as c:
            return read_page(c, query, ablations.c.seq, limit, before_seq, _read_ablations)

    def delete(self, tenant: str, ablation_id: str) -> None:
        """Delete an ablation whose jobs have all ended; the jobs stay. Raises NotFound, and Conflict for any other."""
        with self._db.write() as c:
            _row(c, tenant, ablation_id)
            living = select(jobs.c.id).where(jobs.c.ablation == ablation_id, jobs.c.status.not_in(TERMINAL))
            if job_id := c.execute(living.limit(1)).scalar():
                raise Conflict(f"job {job_id} of the ablation has not ended; cancel the ablation first, or wait")
            c.execute(delete(ablations).where(ablations.c.id == ablation_id))


def _insert(c: Connection, tenant: str, ablation_id: str, design: Design) -> None:
    arms = [{"name": arm.name, "patch": arm.patch} for arm in design.arms]
    values = {"spec": design.spec.to_dict(), "arms": arms, "seeds": list(design.seeds), "created_at": now()}
    c.execute(insert(ablations).values(id=ablation_id, tenant=tenant, **values))


def _insert_jobs(
    c: Connection, tenant: str, design: Design, key: IdempotencyKey | None, origin: Origin
) -> tuple[str, ...]:
    """The ids of the jobs; the first one carries the key."""
    job_ids = list[str]()
    for arm, plan in design.jobs:
        job_id = f"job_{secrets.token_hex(10)}"
        new = NewJob.planned(plan, replace(origin, patch=arm.patch, arm=arm.name))
        insert_job(c, tenant, job_id, new, None if job_ids else key)
        job_ids.append(job_id)
    return tuple(job_ids)


def _row(c: Connection, tenant: str, ablation_id: str) -> RowMapping:
    query = select(ablations).where(ablations.c.tenant == tenant, ablations.c.id == ablation_id)
    row = c.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no ablation {ablation_id!r}")
    return row


def _read_ablations(c: Connection, rows: Sequence[RowMapping]) -> tuple[Ablation, ...]:
    counts = _counts(c, [row["id"] for row in rows])
    return tuple(_ablation(row, counts[row["id"]]) for row in rows)


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
