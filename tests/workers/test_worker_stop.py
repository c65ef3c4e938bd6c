"""A stopping worker releases its jobs and data sets, even if that takes long and Celery does not know of them."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.records.dataset import DatasetStatus
from service.core.records.job import Status
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import Artifact, LocalStorage
from tests.pictures import folders, zipped
from tests.workers.bench import ENDLESS
from workers.worker import Worker

LONG = 0.8  # seconds; longer than the wait for threads without a job or data set


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, hint_seconds=0.1, checkpoint_seconds=0.1)


@pytest.fixture
def storing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the storage, which is slow in this test, gets a file."""
    monkeypatch.setattr("workers.worker.GOODBYE_SECONDS", 0.1)
    begun = threading.Event()
    put = LocalStorage.put

    def slowly(self: LocalStorage, key: str, source: Path) -> Artifact:
        if not key.endswith("upload"):
            begun.set()
            time.sleep(LONG)
        return put(self, key, source)

    monkeypatch.setattr(LocalStorage, "put", slowly)
    return begun


def test_a_job_that_was_claimed_without_a_hint_is_put_back(
    worker: Worker, store: Store, storing: threading.Event
) -> None:
    job = store.actions.submit("t", NewJob(JobSpec.from_dict({"dataset": {"id": "digits"}, **ENDLESS}).filled(1)))[0]
    worker.start()
    assert storing.wait(60)
    worker.close()
    left = store.queries.get("t", job.id)
    assert (left.status, left.lost_attempts, left.attempt) == (Status.QUEUED, (), 1)
    assert store.leases.checkpoints(job.id)


def test_a_data_set_that_is_being_stored_becomes_ready(
    worker: Worker, database: Database, settings: Settings, storing: threading.Event
) -> None:
    archive = settings.home / "pictures.zip"
    archive.write_bytes(zipped(folders()))
    catalog = DatasetStore(database)
    upload = LocalStorage(settings.home / "storage").put("datasets/ds_1/upload", archive)
    catalog.add("t", "ds_1", "a zip", "zip", upload)
    worker.start()
    assert storing.wait(60)
    worker.close()
    assert catalog.get("t", "ds_1").status is DatasetStatus.READY


def test_closing_does_not_wait_for_a_thread_that_hangs(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.worker.GOODBYE_SECONDS", 0.1)
    released, began = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        began.set()
        released.wait(60)

    monkeypatch.setattr(WorkerRegistry, "heartbeat", hang)
    worker.start()
    assert began.wait(60)
    worker.close()
    assert "heartbeat" in {thread.name for thread in threading.enumerate()}
    released.set()
