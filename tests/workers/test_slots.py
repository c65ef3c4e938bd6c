"""A worker trains several jobs side by side, and takes them in the order of the queue."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from service.core.records.job import Job, Phase, Status
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.tables import events, jobs, log_lines
from tests.ports import eventually
from tests.workers.bench import ENDLESS, ForkServer, live_children
from workers import app
from workers.supervisor import supervisor
from workers.supervisor.publishing import publish
from workers.worker import Worker

SMALL, LARGE = 1, None  # the threads that a job gains from
SOON = 20.0  # seconds; the hint of a job that merely waits is not due before 30

Submit = Callable[..., str]


@pytest.fixture
def slots() -> int | None:
    return None


@pytest.fixture
def settings(settings: Settings, slots: int | None) -> Settings:
    return replace(
        settings, threads=2, slots=slots, dispatch_seconds=0.2, checkpoint_seconds=0.1, heartbeat_seconds=0.2
    )


@pytest.fixture
def submit(store: Store) -> Submit:
    def submit(threads: int | None, **changes: Any) -> str:
        small = {"dataset": {"id": "digits", "train_limit": 100}, "model": {"arch": "mlp", "hidden": [8]}}
        spec = JobSpec.from_dict(small | ENDLESS | {"device": "cpu"} | changes).filled(1)
        return store.actions.submit("t", NewJob(spec, threads=threads))[0].id

    return submit


def job(store: Store, job_id: str) -> Job:
    return store.queries.get("t", job_id)


def trains(store: Store, *job_ids: str) -> bool:
    return all(found.status is Status.RUNNING and found.last for found in (job(store, each) for each in job_ids))


def hint(worker: Worker, *job_ids: str) -> threading.Thread:
    """A thread in which hints for these jobs arrive, one after another."""
    thread = threading.Thread(target=lambda: [worker.run_next(job_id) for job_id in job_ids])
    thread.start()
    return thread


def is_hint_due(database: Database, job_id: str) -> bool:
    """Whether the hint is to be sent again soon; it was sent just now otherwise."""
    with database.read() as c:
        return bool(c.execute(select(jobs.c.hinted_at < now() - 30).where(jobs.c.id == job_id)).scalar_one())


def last_epoch_at(database: Database, job_id: str) -> float:
    query = select(func.max(events.c.at)).where(events.c.job_id == job_id, events.c.type == "epoch")
    with database.read() as c:
        return float(c.execute(query).scalar_one())


def threads_of(database: Database, job_id: str) -> str:
    """The number of threads that the job's trainer logs, in words."""
    query = select(log_lines.c.message).where(log_lines.c.job_id == job_id).order_by(log_lines.c.id).limit(1)
    with database.read() as c:
        return str(c.execute(query).scalar_one()).rsplit(", ", maxsplit=1)[-1]


def test_small_jobs_run_side_by_side_and_end_alone(
    worker: Worker, store: Store, submit: Submit, fork_server: ForkServer
) -> None:
    first, second, third = (submit(SMALL) for _ in range(3))
    hints = hint(worker, first, second, third)
    assert eventually(lambda: trains(store, first, second))
    assert len(live_children(fork_server[1].server_pid)) == 2
    assert worker.metrics.registry.get_sample_value("rightfit_worker_busy") == 2
    assert job(store, third).status is Status.QUEUED
    store.actions.cancel("t", first)
    assert eventually(lambda: trains(store, second, third))
    assert job(store, first).status is Status.CANCELLED
    assert job(store, second).attempt == 1
    worker.stop()
    worker.wait_until_idle()
    hints.join()
    put_back = [job(store, each) for each in (second, third)]
    assert [(each.status, each.lost_attempts, each.releases) for each in put_back] == [(Status.QUEUED, (), 1)] * 2
    assert all(store.leases.checkpoints(each.id) for each in put_back)
    for gauge in ("busy", "images_per_second"):
        assert worker.metrics.registry.get_sample_value(f"rightfit_worker_{gauge}") == 0


def test_a_large_job_starts_on_half_of_the_cores(
    worker: Worker, store: Store, database: Database, submit: Submit
) -> None:
    small, other = submit(SMALL), submit(SMALL)
    large, later = submit(LARGE), submit(SMALL, epochs=3)
    hints = hint(worker, small, other, large, later)
    assert eventually(lambda: trains(store, small, other))
    assert [job(store, each).status for each in (large, later)] == [Status.QUEUED] * 2
    store.actions.cancel("t", small)
    assert eventually(lambda: trains(store, other, large))
    store.actions.cancel("t", other)
    assert eventually(lambda: job(store, other).status is Status.CANCELLED)
    assert job(store, later).status is Status.QUEUED, "the large job has all cores now"
    store.actions.cancel("t", large)
    hints.join()
    worker.wait_until_idle()
    assert job(store, later).status is Status.SUCCEEDED
    assert last_epoch_at(database, large) <= (job(store, later).started_at or 0)
    assert [threads_of(database, each) for each in (large, later)] == ["2 threads", "1 threads"]


def test_the_hint_of_a_job_without_room_is_sent_again_soon(
    worker: Worker, store: Store, database: Database, submit: Submit
) -> None:
    small, of_two = submit(SMALL), submit(SMALL, gpus=2)
    hints = hint(worker, small, of_two)
    assert eventually(lambda: is_hint_due(database, of_two), SOON), "an idle worker may take it"
    assert (job(store, small).status, job(store, of_two).status) == (Status.RUNNING, Status.QUEUED)
    for each in (of_two, small):
        store.actions.cancel("t", each)
    hints.join()
    worker.wait_until_idle()


@pytest.fixture
def storage_is_back(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """No artifact is published until this is set."""
    is_back = threading.Event()

    def publish_later(*args: Any, **kwargs: Any) -> Any:
        is_back.wait()
        return publish(*args, **kwargs)

    monkeypatch.setattr(supervisor, "publish", publish_later)
    return is_back


def test_a_job_is_published_while_the_next_one_trains(
    worker: Worker, store: Store, submit: Submit, storage_is_back: threading.Event
) -> None:
    first, second = submit(LARGE, epochs=3), submit(LARGE)
    hints = hint(worker, first, second)
    assert eventually(lambda: trains(store, second))
    assert (job(store, first).status, job(store, first).phase) == (Status.RUNNING, Phase.FINALIZING)
    storage_is_back.set()
    assert eventually(lambda: job(store, first).status is Status.SUCCEEDED)
    assert job(store, second).status is Status.RUNNING
    store.actions.cancel("t", second)
    hints.join()
    worker.wait_until_idle()
    assert [job(store, each).attempt for each in (first, second)] == [1, 1]


def test_one_hint_starts_all_queued_jobs(
    worker: Worker, store: Store, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.host, "worker", worker, raising=False)
    submitted = [submit(SMALL, epochs=1) for _ in range(3)]
    app.train(submitted[0])
    worker.wait_until_idle()
    assert [job(store, each).status for each in submitted] == [Status.SUCCEEDED] * 3


def test_unpublished_jobs_do_not_pile_up(
    worker: Worker, store: Store, submit: Submit, storage_is_back: threading.Event
) -> None:
    submitted = [submit(SMALL, epochs=1) for _ in range(5)]
    hints = hint(worker, *submitted)
    held = submitted[:4]
    assert eventually(lambda: all(job(store, each).phase is Phase.FINALIZING for each in held))
    assert job(store, submitted[4]).status is Status.QUEUED
    storage_is_back.set()
    hints.join()
    worker.wait_until_idle()
    assert [job(store, each).status for each in submitted] == [Status.SUCCEEDED] * 5


@pytest.mark.parametrize("slots", [1])
def test_with_one_slot_a_job_has_all_threads_and_runs_alone(
    worker: Worker, store: Store, database: Database, submit: Submit
) -> None:
    first, second = (submit(SMALL, epochs=3) for _ in range(2))
    assert worker.run_next() == first
    assert [job(store, each).status for each in (first, second)] == [Status.SUCCEEDED, Status.QUEUED]
    assert threads_of(database, first) == "2 threads"
