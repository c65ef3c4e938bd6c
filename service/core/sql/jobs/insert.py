"""Inserts a job: its row, its labels, its key and its first event, within the caller's transaction."""

from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from service.core.errors import Conflict, KeyReused
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import DatasetStatus
from service.core.records.job import Job, Status
from service.core.records.plan import Plan
from service.core.records.submission import IdempotencyKey, NewJob, Origin
from service.core.spec import JobSpec
from service.core.spec.models import weights_of
from service.core.spec.transfer import IMAGENET
from service.core.sql.clock import now
from service.core.sql.jobs.queue_order import next_turn
from service.core.sql.jobs.rows import read_job
from service.core.sql.jobs.transitions import change
from service.core.sql.tables import datasets, idempotency, jobs, labels
from service.core.sql.weights import refuse_without_weights

# A member of the stored spec: the job whose model is scored. Workers of release 0.1.0 do not know it, so they leave
# such a job to newer ones.
SCORES = "scores"

_NOT_YET_RUN: dict[str, Any] = {
    "status": Status.QUEUED,
    "attempt": 0,
    "version": 0,
    "cancel_requested": False,
    "pause_requested": False,
    "checkpoints": [],
    "losses": [],
    "releases": 0,
}


def insert_job(c: Connection, tenant: str, job_id: str, new: NewJob, key: IdempotencyKey | None = None) -> None:
    """Insert a queued job. Raises Conflict if its data set or weights cannot be used any more."""
    spec, origin = new.spec, new.origin
    refuse_without_data(c, tenant, spec.dataset.id)
    refuse_without_weights(c, tenant, new.scores or _source(spec))
    columns = _of_spec(spec) | _of_origin(origin) | _NOT_YET_RUN
    if new.scores:
        columns |= {"spec": {**columns["spec"], SCORES: new.scores}, "weights": new.scores}
    columns |= {"split": new.splits.validation, "test_split": new.splits.test}
    columns |= {"memory_bytes": new.memory_bytes, "threads": new.threads, "warnings": list(new.warnings)}
    columns["pause_after"] = new.pause_after
    columns |= {"created_at": now(), "queued_at": now(), "hinted_at": now()}
    turn = next_turn(c, tenant, spec.priority)
    c.execute(insert(jobs).values(id=job_id, tenant=tenant, turn=turn, **columns))
    if key:
        c.execute(insert(idempotency).values(tenant=tenant, key=key.key, digest=key.digest, job_id=job_id))
    if spec.labels:
        c.execute(insert(labels), [{"job_id": job_id, "key": k, "value": v} for k, v in spec.labels.items()])
    request = {"request_id": origin.request_id} if origin.request_id else {}
    change(c, jobs.c.id == job_id, {}, "status", {"status": Status.QUEUED, **request})


def _of_spec(spec: JobSpec) -> dict[str, Any]:
    return {
        "spec": spec.to_record(),
        "dataset": spec.dataset.id,
        "weights": _source(spec),
        "device": spec.device,
        "gpus": spec.gpus,
        "priority": spec.priority,
    }


def _source(spec: JobSpec) -> str | None:
    """The uploaded weights or the job whose weights the spec starts from."""
    source = weights_of(spec.model)
    return None if source == IMAGENET else source


def _of_origin(origin: Origin) -> dict[str, Any]:
    return {
        "traceparent": origin.traceparent,
        "parent": origin.parent,
        "patch": origin.patch,
        "advice": origin.advice,
        "ablation": origin.ablation,
        "arm": origin.arm,
        "folds": origin.folds,
        "fit": origin.fit,
        "trial": origin.trial,
    }


def planned_columns(plan: Plan | None, row: RowMapping) -> dict[str, Any]:
    """The columns of a job's row that a new plan changes: the spec, the number of processes, and the memory and threads
    of each. Raises Conflict for a job that scores a model.
    """
    if plan is None:
        return {}
    if SCORES in row["spec"]:
        raise Conflict("the job scores a model, which one process does; leave out gpus")
    needs = {"gpus": plan.spec.gpus, "memory_bytes": plan.memory.process_bytes, "threads": plan.threads}
    return {"spec": plan.spec.to_record(), **needs}


def refuse_without_data(c: Connection, tenant: str, dataset_id: str) -> None:
    """Raise Conflict unless the data set can be trained on; until the transaction ends it cannot be deleted."""
    if dataset_id in BUILT_IN:
        return
    query = select(datasets.c.status).where(datasets.c.tenant == tenant, datasets.c.id == dataset_id)
    if c.execute(query.with_for_update(read=True)).scalar() != DatasetStatus.READY:
        raise Conflict(f"the data set {dataset_id!r} cannot be trained on any more")


def job_of_key(c: Connection, tenant: str, key: IdempotencyKey) -> Job | None:
    """The job of a former request with this key. Raises KeyReused if that was another request."""
    query = select(idempotency).where(idempotency.c.tenant == tenant, idempotency.c.key == key.key)
    row = c.execute(query).mappings().one_or_none()
    if row is None:
        return None
    if row["digest"] != key.digest:
        raise KeyReused(
            f"Idempotency-Key {key.key!r} was sent before with another request; use a new key for a new request"
        )
    return read_job(c, tenant, row["job_id"])
