"""A supervisor with a real fork server and real trainer processes, in a process that is not Celery's."""

import json
import shutil
import tempfile
import threading
from dataclasses import asdict
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select, update

from service.core.broker.wakeups import Wakeups
from service.core.evaluation.outcomes import outcomes
from service.core.evaluation.predictions import VALIDATION, Predictions, read
from service.core.records.artifact_names import PREDICTIONS, REPORT
from service.core.records.job import Checkpoint, Job
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.jobs.store import Store
from service.core.sql.jobs.trials import resume_until
from service.core.sql.tables import events, jobs
from service.core.sql.weights import WeightsStore
from service.core.storage import open_storage
from workers.datasets.cache import DatasetCache
from workers.datasets.reader_loop import DatasetReader
from workers.supervisor.forkserver import ForkServerInfo
from workers.supervisor.supervisor import Supervisor

ENDLESS = {"epochs": 100_000, "early_stopping": None, "train_loss_clean": False}
LOSS_TOLERANCE = 1e-5  # the recorded loss is computed in single precision
MEASURED = ("epoch", "train_loss", "train_loss_clean", "val_loss", "val_accuracy", "lr", "improved", "gradient_norm")

ForkServer = tuple[ForkServerContext, ForkServerInfo]


class Bench:
    """A supervisor over a store, run in a thread, and what tests ask about its jobs."""

    def __init__(self, settings: Settings, store: Store, fork_server: ForkServer) -> None:
        self.settings, self.store, self.fork_server = settings, store, fork_server
        self.context = fork_server[0]
        self.storage = open_storage(settings.storage_url)
        self.catalog = DatasetStore(store.queries._db)
        self.cache = DatasetCache(settings.home / "datasets", self.catalog, self.storage, settings.cache_bytes)
        self.supervisor = Supervisor(settings, store.leases, self.storage, self.cache, self.context)

    def submit(self, pause_after: int | None = None, **changes: Any) -> Job:
        spec = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [8]}, "epochs": 3}
        new = NewJob(JobSpec.from_dict(spec | changes).filled(1), pause_after=pause_after)
        return self.store.actions.submit("t", new)[0]

    def resume_until(self, job: Job, pause_after: int | None) -> None:
        """Queue a paused trial again."""
        with self.store.queries._db.write() as c:
            resume_until(c, "t", job.id, pause_after)

    def read(self, dataset_id: str, archive: Path) -> None:
        """Upload a zip as a data set, and read it."""
        self.catalog.add("t", dataset_id, "a zip", "zip", self.storage.put(f"datasets/{dataset_id}/upload", archive))
        wakeups = Wakeups(self.settings.broker_url)
        stores = (self.catalog, WeightsStore(self.catalog._db))
        reader = DatasetReader(self.settings, *stores, self.storage, self.cache, wakeups, "worker")
        reader.read_next(threading.Event())

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

    def history(self, job: Job) -> list[tuple[Any, ...]]:
        """The measures of each epoch that are the same in every run of a spec."""
        return [
            tuple(getattr(epoch, name) for name in MEASURED) for epoch in self.store.queries.history("t", job.id)[1]
        ]

    def published(self, job: Job) -> set[str]:
        """The names of the job's artifacts."""
        return {artifact.name for artifact in self.store.queries.artifacts("t", job.id)}

    def best_model(self, job: Job) -> str:
        """The SHA-256 of the published best model, which is there in full."""
        (model,) = [a for a in self.store.queries.artifacts("t", job.id) if a.name == "best_model.pth"]
        with self.storage.open(model.key) as file:
            assert len(file.read()) == model.bytes
        return model.sha256

    def report(self, job: Job) -> dict[str, Any]:
        """The published report.json."""
        (artifact,) = [a for a in self.store.queries.artifacts("t", job.id) if a.name == REPORT]
        with self.storage.open(artifact.key) as file:
            report: dict[str, Any] = json.load(file)
        return report

    def predictions(self, job: Job) -> Predictions:
        """The published predictions, which have the validation loss of the model that is kept."""
        (artifact,) = [a for a in self.store.queries.artifacts("t", job.id) if a.name == PREDICTIONS]
        with tempfile.TemporaryFile() as file, self.storage.open(artifact.key) as stored:
            shutil.copyfileobj(stored, file)
            file.seek(0)
            found = read(file)
        best = self.job(job).kept
        assert best is not None
        assert best.val_loss is not None
        loss = outcomes(found.of(VALIDATION)).loss.mean()
        assert abs(loss - best.val_loss) < LOSS_TOLERANCE * max(1.0, best.val_loss)
        return found

    def checkpointed(self, job: Job) -> int:
        """The number of epochs in the newest stored checkpoint."""
        return max((kept.epochs for kept in self.store.leases.checkpoints(job.id)), default=0)

    def events(self, job: Job) -> list[tuple[str, Any]]:
        """All events of a job, as (type, data)."""
        with self.store.queries._db.read() as c:
            rows = c.execute(select(events.c.type, events.c.data).where(events.c.job_id == job.id))
            return [(row.type, row.data) for row in rows.all()]

    def replace_checkpoints(self, job: Job, checkpoints: list[Checkpoint]) -> None:
        with self.store.queries._db.write() as c:
            stored = [asdict(checkpoint) for checkpoint in checkpoints]
            c.execute(update(jobs).where(jobs.c.id == job.id).values(checkpoints=stored))

    def another(self, settings: Settings | None = None) -> "Bench":
        """A second worker over the same store."""
        other = Bench(settings or self.settings, self.store, self.fork_server)
        other.supervisor.worker += ":other"
        return other

    def trainer_pids(self) -> list[int]:
        """The live children of the fork server."""
        return live_children(self.fork_server[1].server_pid)


def live_children(pid: int) -> list[int]:
    """The children of a process that have not ended."""
    try:
        children = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    return sorted(child.pid for child in children if is_live(child))


def is_live(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
