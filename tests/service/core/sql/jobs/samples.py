"""Jobs, leases and results for tests of the job record."""

from typing import Any

from service.core.records.epoch import Epoch
from service.core.records.job import (
    Checkpoint,
    Job,
    Outcome,
    Retries,
    Status,
    StopReason,
)
from service.core.records.lease import Lease
from service.core.records.submission import NewJob
from service.core.spec import JobSpec
from service.core.sql.jobs.store import Store
from service.core.storage import Artifact

SUCCESS = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)
MODEL = Artifact("best_model.pth", "jobs/x/a1/best_model.pth", 3, "abc", "application/octet-stream")
RETRIES = Retries(attempts=3, backoff_seconds=0)


def spec(**changes: Any) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, **changes}).filled(1)


def submit(store: Store, tenant: str = "t", **changes: Any) -> Job:
    return store.actions.submit(tenant, NewJob(spec(**changes)))[0]


def claim(store: Store) -> Lease:
    lease = store.leases.claim("worker", 60)
    assert lease is not None
    return lease


def epoch(number: int, *, improved: bool = True) -> Epoch:
    return Epoch(number, 1.0, 1.0, 1 / number, 0.5, 0.5, 0.0, 1e-3, 0.1, 10.0, improved, 0)


def checkpoint(epochs: int) -> Checkpoint:
    prefix = f"jobs/x/a1/checkpoint-{epochs}"
    best = Artifact("best_model.pth", f"{prefix}/best_model.pth", 3, "def", "application/octet-stream")
    return Checkpoint(Artifact("last.pt", f"{prefix}/last.pt", 3, "abc", "application/octet-stream"), best, epochs, 1)
