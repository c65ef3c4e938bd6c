"""What a worker reports as its problem, and what it does not."""

import threading
import time

import pytest

from service.core.errors import DatabaseUnavailable
from service.core.sql.worker_registry import WorkerRegistry
from tests.ports import eventually
from workers.worker import STUCK_SECONDS, Worker


def test_an_absent_database_is_no_problem_of_the_worker(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    called = threading.Event()

    def away(*_: object, **__: object) -> None:
        called.set()
        raise DatabaseUnavailable("no")

    assert worker.problem() is None
    monkeypatch.setattr(WorkerRegistry, "heartbeat", away)
    worker.start()
    assert called.wait(10)
    assert worker.problem() is None
    worker.close()
    assert worker.problem() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_a_problem(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(WorkerRegistry, "heartbeat", fail)
    worker.start()
    assert eventually(lambda: worker.problem() == "threads have died: heartbeat", 10)


def test_a_heartbeat_that_hangs_is_a_problem(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(WorkerRegistry, "heartbeat", lambda *_, **__: released.wait(30))
    worker.start()
    assert worker.problem() is None
    now = time.monotonic()
    with monkeypatch.context() as later:
        later.setattr("workers.worker.time.monotonic", lambda: now + 2 * STUCK_SECONDS)
        assert (worker.problem() or "").startswith("no heartbeat was sent to the database for 1")
    released.set()
