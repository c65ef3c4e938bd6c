"""The path from the Celery task to the optimizer step, over both processes."""

import json
import threading
from multiprocessing.context import ForkServerProcess

import pytest

from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.jobs.store import Store
from service.core.storage import open_storage
from tests.workers.trainer_frames import FILE, frames
from workers import app
from workers.supervisor import trainer_handle
from workers.worker import Worker

MOST_FRAMES = 10


def test_a_step_is_at_most_ten_frames_from_the_task(
    worker: Worker, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting: list[str] = []
    supervising: list[str] = []
    start, start_thread = ForkServerProcess.start, threading.Thread.start

    def start_thread_and_note(thread: threading.Thread) -> None:
        if thread.name.startswith("slot-"):
            starting.extend(frames())
        start_thread(thread)

    def start_and_note(process: ForkServerProcess) -> None:
        supervising.extend(frames())
        start(process)

    monkeypatch.setattr(threading.Thread, "start", start_thread_and_note)
    monkeypatch.setattr(ForkServerProcess, "start", start_and_note)
    monkeypatch.setattr(trainer_handle, "TRAINER", "tests.workers.trainer_frames:main_with_frames")
    monkeypatch.setattr(app.host, "worker", worker, raising=False)
    spec = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [8]}, "epochs": 1}
    job, _ = store.actions.submit("t", NewJob(JobSpec.from_dict(spec).filled(1)))
    app.train(job.id)
    assert store.queries.get("t", job.id).status == "succeeded"
    (published,) = [artifact for artifact in store.queries.artifacts("t", job.id) if artifact.name == FILE]
    with open_storage(settings.storage_url).open(published.key) as file:
        training = json.loads(file.read())
    assert starting[0] == "workers.app:train"
    assert supervising[0] == "workers.supervisor.supervisor:Supervisor.run"
    assert training[0] == "workers.trainer.main:main"
    path = [*starting, *supervising, *training]
    print(*path, sep="\n")
    assert len(path) <= MOST_FRAMES, path
