"""A database and a storage with jobs and data sets in them, some of them old."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import update

from service.core.actions.retention import Retention
from service.core.errors import NotFound
from service.core.records.dataset import Contents, DatasetStatus
from service.core.records.job import Checkpoint, Failure, Outcome, Status, StopReason
from service.core.records.submission import NewJob
from service.core.records.weights import NewWeights
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.clock import now
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import datasets, jobs, weights
from service.core.sql.weights import WeightsStore
from service.core.storage import Storage
from service.core.text import DAY
from tests.service.core.sql.jobs.samples import SUCCESS, epoch

FAILED = Outcome(Status.FAILED, StopReason.WORKER_LOST, Failure("infrastructure", "trainer_lost", "killed"))


class House:
    """Makes jobs and data sets of a tenant `t`, with files and ages, and looks at what a sweep leaves."""

    def __init__(self, settings: Settings, database: Database, storage: Storage, folder: Path) -> None:
        self.settings, self.database, self.storage, self.folder = settings, database, storage, folder
        self.store, self.catalog, self.uploads = Store(database), DatasetStore(database), WeightsStore(database)

    def sweep(self, **days: float) -> Counter[str]:
        given: Any = {f"keep_{what}_days": count for what, count in days.items()}
        kept = replace(self.settings, **given)
        return Retention(kept, self.database, self.store, self.catalog, self.storage).sweep()

    def put(self, key: str) -> Any:
        source = self.folder / "source"
        source.write_text(key)
        return self.storage.put(key, source)

    def job(self, outcome: Outcome | None = SUCCESS, days: float = 10, **spec: Any) -> str:
        """A job that ended `days` ago, with a checkpoint and the left-over file of a lost attempt."""
        whole = JobSpec.from_dict({"dataset": {"id": "digits"}, **spec}).filled(1)
        job_id = self.store.actions.submit("t", NewJob(whole))[0].id
        lease = self.store.leases.claim("worker", 60)
        assert lease is not None
        assert lease.job_id == job_id
        self.lease = lease
        self.store.leases.append(lease, [epoch(1)])
        folder = f"jobs/{job_id}/a1"
        best = self.put(f"{folder}/checkpoints/1/best_model.pth")
        self.store.leases.record_checkpoint(lease, Checkpoint(self.put(f"{folder}/checkpoints/1/last.pt"), best, 1, 1))
        self.put(f"{folder}/left_over.bin")
        if outcome is not None:
            is_success = outcome.status is Status.SUCCEEDED
            self.store.leases.finish(lease, outcome, [self.put(f"{folder}/best_model.pth")] if is_success else [])
        self._age(jobs, job_id, days)
        return job_id

    def dataset(self, days: float = 10) -> str:
        dataset_id = f"ds_{uuid4().hex[:20]}"
        self.catalog.add("t", dataset_id, "old", "zip", self.put(f"datasets/{dataset_id}/upload"))
        packed = [asdict(self.put(f"datasets/{dataset_id}/a1/pixels.bin"))]
        contents = asdict(Contents(("a", "b"), (1, 1), (1, 8, 8)))
        with self.database.write() as c:
            values = {"status": DatasetStatus.READY, "packed": packed, "contents": contents}
            c.execute(update(datasets).where(datasets.c.id == dataset_id).values(values))
        self._age(datasets, dataset_id, days)
        return dataset_id

    def weights(self, days: float = 10) -> str:
        weights_id = f"wgt_{uuid4().hex[:20]}"
        stored = self.put(f"weights/{weights_id}/abc.safetensors")
        self.uploads.add("t", NewWeights(weights_id, "old", "resnet18", 10, 3, 1, "abc", stored))
        self._age(weights, weights_id, days)
        return weights_id

    def files(self, prefix: str) -> set[str]:
        return {stored.key.removeprefix(f"{prefix}/") for stored in self.storage.objects(prefix)}

    def is_there(self, job_id: str) -> bool:
        try:
            self.store.queries.get("t", job_id)
        except NotFound:
            return False
        return True

    def is_set(self, dataset_id: str) -> bool:
        try:
            self.catalog.get("t", dataset_id)
        except NotFound:
            return False
        return True

    def are_weights(self, weights_id: str) -> bool:
        try:
            self.uploads.get("t", weights_id)
        except NotFound:
            return False
        return True

    def _age(self, table: Any, row_id: str, days: float) -> None:
        past = {"created_at": now() - days * DAY}
        if table is jobs:
            past["finished_at"] = now() - days * DAY
        with self.database.write() as c:
            c.execute(update(table).where(table.c.id == row_id).values(past))
