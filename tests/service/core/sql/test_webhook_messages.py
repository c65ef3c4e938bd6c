"""Hints, wake-ups and the dispatcher, over a real server that comes and goes."""

import threading
import time
from pathlib import Path
from typing import Any

import redis

from service.core.actions.dispatcher import Dispatcher
from service.core.actions.submit import Submission
from service.core.broker.hints import QUEUE, HintQueue
from service.core.broker.wakeups import Wakeups
from service.core.records.plan import Limits
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry
from tests.conftest import Redis
from tests.ports import eventually, free_port

SPEC = JobSpec.from_dict({"dataset": {"id": "digits"}})


def hints(server: Redis) -> int:
    with redis.Redis.from_url(server.url) as client:
        waiting: Any = client.llen(QUEUE)
    return int(waiting)


def parts(tmp_path: Path, url: str, database: Database, hint_seconds: float = 60) -> tuple[Submission, Dispatcher]:
    settings = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_HINT_SECONDS": str(hint_seconds)})
    store, queue = Store(database), HintQueue(url)
    return Submission(store, DatasetStore(database), queue, Limits(10**9, 64 << 30)), Dispatcher(
        settings, store, WorkerRegistry(database), queue
    )


def test_who_waits_sleeps_until_there_is_a_wake_up(own_redis: Redis) -> None:
    wakeups = Wakeups(own_redis.url)
    with wakeups.listen("job_1") as wait:
        started = time.monotonic()
        wait(0.3)
        assert time.monotonic() - started > 0.25, "the subscription itself is no wake-up"
        wakeups.publish("job_1")
        started = time.monotonic()
        wait(20)
        assert time.monotonic() - started < 10


def test_an_accepted_job_sends_one_hint(tmp_path: Path, own_redis: Redis, database: Database) -> None:
    submission, dispatcher = parts(tmp_path, own_redis.url, database)
    submission.submit("t", SPEC)
    assert hints(own_redis) == 1
    assert dispatcher.dispatch() == 0, "the hint is fresh"


def test_a_redis_that_is_away_loses_no_job_and_its_return_brings_the_hint(
    tmp_path: Path, own_redis: Redis, database: Database
) -> None:
    submission, dispatcher = parts(tmp_path, own_redis.url, database)
    own_redis.stop()
    job, _ = submission.submit("t", SPEC)
    assert submission.store.queries.get("t", job.id).status == "queued"
    assert dispatcher.dispatch() == 0
    own_redis.start()
    assert eventually(lambda: dispatcher.dispatch() == 1)
    assert hints(own_redis) == 1


def test_lost_hints_of_a_backlog_are_sent_again_only_for_its_head(
    tmp_path: Path, own_redis: Redis, database: Database
) -> None:
    submission, dispatcher = parts(tmp_path, own_redis.url, database, hint_seconds=0.2)
    for _ in range(30):
        submission.submit("t", SPEC)
    with redis.Redis.from_url(own_redis.url) as client:
        client.flushall()
    time.sleep(0.3)
    WorkerRegistry(database).heartbeat("one", 60)
    for name in ("two", "three", "four"):
        WorkerRegistry(database).heartbeat(name, 60)
    assert dispatcher.dispatch() == 8, "two for each of the four live workers"
    assert hints(own_redis) == 8


def test_the_dispatcher_runs_until_it_is_stopped(tmp_path: Path, own_redis: Redis, database: Database) -> None:
    submission, _ = parts(tmp_path, own_redis.url, database)
    settings = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_DISPATCH_SECONDS": "0.1"})
    dispatcher = Dispatcher(settings, submission.store, WorkerRegistry(database), HintQueue(own_redis.url))
    job, _ = submission.submit("t", SPEC)
    submission.store.leases.forget_hints(job.id)
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    assert eventually(lambda: hints(own_redis) == 2)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_wake_up_ends_a_wait_early(redis_server: Redis) -> None:
    wakeups = Wakeups(redis_server.url)
    with wakeups.listen("job_1") as wait:
        wait(0.5)  # the confirmation of the subscription
        threading.Timer(0.2, wakeups.publish, ["job_1"]).start()
        started = time.monotonic()
        wait(30)
    assert time.monotonic() - started < 10


def test_without_redis_waits_are_short_sleeps_and_nothing_fails() -> None:
    wakeups = Wakeups(f"redis://127.0.0.1:{free_port()}/0")
    wakeups.publish("job_1")
    assert wakeups.ping() is False
    with wakeups.listen("job_1") as wait:
        started = time.monotonic()
        wait(30)
    assert time.monotonic() - started < 10


def test_a_worker_that_is_not_seen_any_more_does_not_count(database: Database) -> None:
    registry = WorkerRegistry(database)
    registry.heartbeat("one", 60)
    registry.heartbeat("two", 60)
    assert set(registry.live_workers(60)) == {"one", "two"}
    registry.deregister("one")
    assert set(registry.live_workers(60)) == {"two"}
    time.sleep(0.05)
    assert registry.live_workers(0.01) == {}
