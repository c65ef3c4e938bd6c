"""A supervisor with a real warm server and real trainer processes, in a process that is not Celery's."""

import threading
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from service.core.broker.wakeups import Wakeups
from service.core.records.job import Checkpoint, Job
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import events, jobs
from service.core.storage import open_storage
from workers.datasets.cache import DatasetCache
from workers.datasets.reader_loop import DatasetReader
from workers.supervisor import forkserver
from workers.supervisor.supervisor import Supervisor
from workers.worker import Worker

ENDLESS = {"epochs": 100_000, "early_stopping": None, "train_loss_clean": False}


@pytest.fixture(scope="session")
def warm_server() -> Iterator[tuple[ForkServerContext, forkserver.ForkServerInfo]]:
    with pytest.MonkeyPatch.context() as patch:  # whatever network there is, no weights are downloaded in a test
        for name in ("http_proxy", "https_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")
        context, warmth = forkserver.start()
    yield context, warmth
    forkserver.stop(warmth)


class Bench:
    """A supervisor over a store, run in a thread, and what a test wants to know of it."""

    def __init__(self, settings: Settings, store: Store, context: ForkServerContext) -> None:
        self.settings, self.store, self.context = settings, store, context
        self.storage = open_storage(settings.storage_url)
        self.catalog = DatasetStore(store.queries._db)
        self.shelf = DatasetCache(settings.home / "datasets", self.catalog, self.storage, settings.cache_bytes)
        self.supervisor = Supervisor(settings, store.leases, self.storage, self.shelf, context)

    def submit(self, **changes: Any) -> Job:
        spec = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [8]}, "epochs": 3}
        return self.store.actions.submit("t", NewJob(JobSpec.from_dict(spec | changes).filled(1)))[0]

    def read(self, dataset_id: str, archive: Path) -> None:
        """Send a zip as a data set, and read it."""
        self.catalog.add("t", dataset_id, "a zip", "zip", self.storage.put(f"datasets/{dataset_id}/upload", archive))
        wakeups = Wakeups(self.settings.broker_url)
        librarian = DatasetReader(self.settings, self.catalog, self.storage, self.shelf, wakeups, "worker")
        librarian.read_next(threading.Event())

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.supervisor.run_next)
        thread.start()
        return thread

    def run(self, **changes: Any) -> Job:
        job = self.submit(**changes)
        assert self.supervisor.run_next() == job.id
        return self.job(job)

    def job(self, job: Job) -> Job:
        return self.store.queries.get("t", job.id)

    def training(self, job: Job, epochs: int = 2) -> bool:
        last = self.job(job).last
        return last is not None and last.epoch >= epochs

    def events(self, job: Job) -> list[tuple[str, Any]]:
        """All that was told of a job, as (type, data)."""
        with self.store.queries._db.read() as c:
            found = c.execute(select(events.c.type, events.c.data).where(events.c.job_id == job.id))
            return [(row.type, row.data) for row in found.all()]

    def replace_checkpoints(self, job: Job, checkpoints: list[Checkpoint]) -> None:
        with self.store.queries._db.write() as c:
            stored = [asdict(checkpoint) for checkpoint in checkpoints]
            c.execute(update(jobs).where(jobs.c.id == job.id).values(checkpoints=stored))

    def another(self, settings: Settings | None = None) -> "Bench":
        """A second worker over the same store."""
        other = Bench(settings or self.settings, self.store, self.context)
        other.supervisor.worker += ":other"
        return other

    def trainer_pids(self) -> list[int]:
        """The children of the warm server, other than those that have ended."""
        return [pid for pid in _children() if _state(pid) not in ("Z", "")]


def _children() -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _parent(int(p.name)) in _servers]


_servers: set[int] = set()


def _stat(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[1]) if stat else 0


def _state(pid: int) -> str:
    stat = _stat(pid)
    return stat[0] if stat else ""


@pytest.fixture
def bench(settings: Settings, store: Store, warm_server: tuple[ForkServerContext, forkserver.ForkServerInfo]) -> Bench:
    context, warmth = warm_server
    _servers.add(warmth.server_pid)
    return Bench(settings, store, context)


@pytest.fixture
def worker(
    settings: Settings,
    database: Database,
    warm_server: tuple[ForkServerContext, forkserver.ForkServerInfo],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Worker]:
    """A real one over the warm server of all tests, which it leaves alone."""
    monkeypatch.setattr(forkserver, "start", lambda: warm_server)
    monkeypatch.setattr(forkserver, "stop", lambda warmth: None)
    worker = Worker(settings)
    yield worker
    worker.close()
