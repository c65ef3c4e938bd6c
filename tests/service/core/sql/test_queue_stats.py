"""The counts for monitoring, over both databases."""

import time
from typing import Any

import pytest
from sqlalchemy import insert, update

from service.core.records.capacity import Capacity
from service.core.records.job import Outcome, Retries, Status, StopReason
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.queue_stats import QueueStats
from service.core.sql.tables import datasets, jobs, workers
from service.core.sql.worker_registry import WorkerRegistry
from tests.benchmarks.scrape import fill
from tests.plans import plans

LEASE = 60.0
SUCCESS = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


@pytest.fixture
def stats(database: Database) -> QueueStats:
    return QueueStats(database, LEASE)


def submit(store: Store, priority: int = 5, tenant: str = "t") -> str:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "priority": priority}).filled(1)
    return store.actions.submit(tenant, NewJob(spec))[0].id


def backdate(database: Database, job_id: str, **values: Any) -> None:
    with database.write() as c:
        c.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def test_an_empty_database_counts_to_nothing(stats: QueueStats) -> None:
    counts = stats.take()
    assert set(counts.queued.values()) == set(counts.waits.values()) == {0}
    assert list(counts.queued) == list(range(10))
    assert (counts.lapsed, counts.workers, counts.busy) == (0, 0, 0)
    assert set(counts.jobs.values()) == set(counts.datasets.values()) == {0}
    assert stats.ended() == {Status.CANCELLED: 0, Status.FAILED: 0, Status.SUCCEEDED: 0}


def test_jobs_of_all_tenants_are_counted_by_priority_and_status(
    stats: QueueStats, store: Store, database: Database
) -> None:
    old, _, urgent = submit(store), submit(store, tenant="u"), submit(store, priority=9)
    backdate(database, old, queued_at=time.time() - 500)
    backdate(database, urgent, queued_at=None, created_at=time.time() - 100)  # of an older release
    counts = stats.take()
    assert (counts.queued[5], counts.queued[9], counts.jobs[Status.QUEUED]) == (2, 1, 3)
    assert counts.waits[5] == pytest.approx(500, abs=30)
    assert counts.waits[9] == pytest.approx(100, abs=30)
    store.actions.pause("t", old)
    lease = store.leases.claim("w", LEASE)
    assert lease is not None
    counts = stats.take()
    assert (counts.jobs[Status.PAUSED], counts.jobs[Status.RUNNING], counts.jobs[Status.QUEUED]) == (1, 1, 1)
    store.leases.finish(lease, SUCCESS, [])
    assert stats.take().jobs[Status.RUNNING] == 0
    assert stats.ended()[Status.SUCCEEDED] == 1


def test_a_resumed_job_waits_anew(stats: QueueStats, store: Store, database: Database) -> None:
    job_id = submit(store)
    backdate(database, job_id, queued_at=time.time() - 5000, created_at=time.time() - 5000)
    store.actions.pause("t", job_id)
    store.actions.resume("t", job_id)
    assert stats.take().waits[5] < 1000


def test_idle_workers_and_lapsed_leases_are_counted(stats: QueueStats, store: Store, database: Database) -> None:
    for _ in range(2):
        submit(store)
    assert store.leases.claim("busy", LEASE)
    lost = store.leases.claim("gone", LEASE)
    with database.write() as c:
        for name in ("busy", "idle", "idle too"):
            c.execute(insert(workers).values(id=name, seen_at=time.time()))
        c.execute(insert(workers).values(id="gone", seen_at=time.time() - 10 * LEASE))
    counts = stats.take()
    assert (counts.workers, counts.busy, counts.lapsed) == (3, 1, 0)
    assert lost is not None
    backdate(database, lost.job_id, lease_until=1.0)
    assert stats.take().lapsed == 1
    store.leases.reap(Retries(3, 0))
    assert stats.take().lapsed == 0


def test_jobs_that_no_live_worker_can_hold_are_counted(stats: QueueStats, store: Store, database: Database) -> None:
    submit(store)
    store.actions.submit(
        "t", NewJob(JobSpec.from_dict({"dataset": {"id": "digits"}, "gpus": 4, "device": "cuda"}).filled(1))
    )
    assert stats.take().unheld == 2, "there is no worker"
    WorkerRegistry(database).heartbeat("small", LEASE, Capacity(threads=2, version="1"))
    assert stats.take().unheld == 1
    WorkerRegistry(database).heartbeat("large", LEASE, Capacity(gpus=4, threads=2, version="1"))
    assert stats.take().unheld == 0


def test_data_sets_are_counted_by_status(stats: QueueStats, database: Database) -> None:
    row = {"tenant": "t", "name": "n", "format": "zip", "upload": {}, "packed": [], "attempt": 0, "created_at": 1.0}
    with database.write() as c:
        c.execute(insert(datasets), [row | {"id": f"d{n}", "status": "ready" if n else "failed"} for n in range(3)])
    counts = stats.take().datasets
    assert {str(status): number for status, number in counts.items() if number} == {"ready": 2, "failed": 1}


def test_no_count_reads_the_table_of_jobs_as_a_whole(stats: QueueStats, database: Database) -> None:
    """On a table that is large enough for a planner to care."""
    fill(database, 6_000, queued=300)
    taken, ended = plans(database, stats.take), plans(database, stats.ended)
    assert taken
    assert ended
    assert not [step for step in (*taken, *ended) if step.strip().startswith(("SCAN jobs", "->  Seq Scan on jobs"))]
    waiting = [step for step in taken if "jobs_waiting" in step]
    assert waiting
    assert all("COVERING" in step or "Index Only" in step for step in waiting), waiting
