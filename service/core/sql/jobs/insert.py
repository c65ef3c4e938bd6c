"""How a job enters the record: its row, its labels, its key and its first event, within the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from service.core.errors import Conflict, KeyReused
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import DatasetStatus
from service.core.records.job import Job, Status
from service.core.records.plan import Plan, Splits
from service.core.spec import JobSpec
from service.core.sql.clock import now
from service.core.sql.jobs.rows import read_job
from service.core.sql.jobs.transitions import change, next_turn
from service.core.sql.tables import datasets, idempotency, jobs, labels
from service.core.telemetry.correlation import current


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's own name for a request, and the SHA-256 of what it sent."""

    key: str
    digest: str


@dataclass(frozen=True)
class Origin:
    """Where a job comes from: forked from a parent by a JSON Patch (RFC 6902), perhaps that of an advice, or run for
    an arm of an ablation.
    """

    parent: str | None = None
    patch: Sequence[Mapping[str, Any]] | None = None
    advice: str | None = None
    ablation: str | None = None
    arm: str | None = None


NOWHERE = Origin()
UNNAMED = Splits(None, None)


def insert_job(
    c: Connection, tenant: str, job_id: str, spec: JobSpec, key: IdempotencyKey | None = None,
    warnings: Sequence[str] = (), splits: Splits = UNNAMED, origin: Origin = NOWHERE, memory_bytes: int | None = None,
) -> None:  # fmt: skip
    """Insert a queued job that came with the request at hand. Raises Conflict where its data set is gone by now."""
    refuse_without_data(c, tenant, spec.dataset.id)
    came = current()
    c.execute(
        insert(jobs).values(
            id=job_id, tenant=tenant, spec=spec.to_record(), dataset=spec.dataset.id,
            split=splits.validation, test_split=splits.test, device=spec.device, gpus=spec.gpus,
            memory_bytes=memory_bytes,
            warnings=list(warnings), priority=spec.priority, status=Status.QUEUED, attempt=0,
            version=0, turn=next_turn(c, tenant, spec.priority), cancel_requested=False, pause_requested=False,
            checkpoints=[], losses=[], releases=0, created_at=now(), queued_at=now(), hinted_at=now(),
            traceparent=came.traceparent, parent=origin.parent,
            patch=origin.patch, advice=origin.advice, ablation=origin.ablation, arm=origin.arm,
        )
    )  # fmt: skip
    if key:
        c.execute(insert(idempotency).values(tenant=tenant, key=key.key, digest=key.digest, job_id=job_id))
    if spec.labels:
        c.execute(insert(labels), [{"job_id": job_id, "key": k, "value": v} for k, v in spec.labels.items()])
    told = {"request_id": came.request_id} if came.request_id else {}
    change(c, jobs.c.id == job_id, {}, "status", {"status": Status.QUEUED, **told})


def shared(plan: Plan | None) -> dict[str, Any]:
    """The columns of a job that tell how many processes share it, and what each takes."""
    if plan is None:
        return {}
    return {"spec": plan.spec.to_record(), "gpus": plan.spec.gpus, "memory_bytes": plan.memory.process_bytes}


def refuse_without_data(c: Connection, tenant: str, dataset_id: str) -> None:
    """Raise Conflict unless the set can be trained on; it cannot be deleted before the transaction ends."""
    if dataset_id in BUILT_IN:
        return
    wanted = select(datasets.c.status).where(datasets.c.tenant == tenant, datasets.c.id == dataset_id)
    if c.execute(wanted.with_for_update(read=True)).scalar() != DatasetStatus.READY:
        raise Conflict(f"the data set {dataset_id!r} cannot be trained on any more")


def job_of_key(c: Connection, tenant: str, key: IdempotencyKey) -> Job | None:
    """The job of a former request with this key. Raises KeyReused where that asked for something else."""
    wanted = select(idempotency).where(idempotency.c.tenant == tenant, idempotency.c.key == key.key)
    row = c.execute(wanted).mappings().one_or_none()
    if row is None:
        return None
    if row["digest"] != key.digest:
        raise KeyReused(
            f"Idempotency-Key {key.key!r} was sent before with another request; use a new key for a new job"
        )
    return read_job(c, tenant, row["job_id"])
