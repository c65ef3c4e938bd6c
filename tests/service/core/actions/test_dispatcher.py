"""Hints and the dispatcher, over a real Redis server that stops and starts."""

import threading
import time
from pathlib import Path
from typing import Any

import redis

from service.core.actions.dispatcher import Dispatcher
from service.core.actions.starting_weights import StartingWeights
from service.core.actions.submit import JobSubmitter
from service.core.broker.hints import QUEUE, HintQueue
from service.core.records.plan import Limits
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.weights import WeightsStore
from service.core.sql.worker_registry import WorkerRegistry
from tests.conftest import Redis
from tests.ports import eventually

SPEC = JobSpec.from_dict({"dataset": {"id": "digits"}})


def hints(server: Redis) -> int:
    with redis.Redis.from_url(server.url) as client:
        waiting: Any = client.llen(QUEUE)
    return int(waiting)


def parts(tmp_path: Path, url: str, database: Database, hint_seconds: float = 60) -> tuple[JobSubmitter, Dispatcher]:
    settings = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path), "RIGHTFIT_HINT_SECONDS": str(hint_seconds)})
    store, queue = Store(database), HintQueue(url)
    starting = StartingWeights(store.queries, WeightsStore(database))
    return JobSubmitter(store, DatasetStore(database), queue, Limits(10**9, 64 << 30), starting), Dispatcher(
        settings, store, WorkerRegistry(database), queue
    )


def test_an_accepted_job_sends_one_hint(tmp_path: Path, own_redis: Redis, database: Database) -> None:
    submission, dispatcher = parts(tmp_path, own_redis.url, database)
    submission.submit("t", SPEC)
    assert hints(own_redis) == 1
    assert dispatcher.dispatch() == 0, "the hint is fresh"


def test_a_job_submitted_without_redis_is_hinted_when_it_returns(
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


def test_lost_hints_are_sent_again_for_the_head_of_the_queue(
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
    submission.store.hints.forget_hints(job.id)
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    assert eventually(lambda: hints(own_redis) == 2)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
