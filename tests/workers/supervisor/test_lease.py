"""The lease of a job while its supervisor runs it: renewed, lost, and with the database away."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.core.errors import DatabaseUnavailable
from service.core.records.job import ControlRequest, Status
from service.core.records.lease import Lease
from service.core.sql.engine import Database
from service.core.sql.jobs.leases import JobLeases
from tests.ports import eventually
from tests.workers.bench import ENDLESS, Bench
from workers.supervisor.supervisor import Supervisor


@pytest.mark.parametrize("silent", [False, True])
def test_a_lost_lease_kills_the_trainer_and_nothing_is_written(bench: Bench, database: Database, silent: bool) -> None:
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    if silent:
        os.kill(bench.trainer_pids()[0], signal.SIGSTOP)
    with database.write() as c:
        c.exec_driver_sql("UPDATE jobs SET attempt = attempt + 1")
    thread.join(30)
    assert not thread.is_alive()
    assert bench.trainer_pids() == []
    after = bench.job(job)
    assert (after.status, after.attempt) == ("running", 2)
    assert bench.store.queries.artifacts("t", job.id) == ()


class Away(JobLeases):
    """A store whose database cannot be reached while `away` is set."""

    away = threading.Event()

    def _maybe(self, call: Callable[..., Any], *args: Any) -> Any:
        if self.away.is_set():
            raise DatabaseUnavailable("database is away")
        return call(*args)

    def renew(self, lease: Lease, lease_seconds: float) -> ControlRequest | None:
        request: ControlRequest | None = self._maybe(super().renew, lease, lease_seconds)
        return request

    def control_request(self, lease: Lease) -> ControlRequest | None:
        request: ControlRequest | None = self._maybe(super().control_request, lease)
        return request

    def append(self, *args: Any) -> None:
        self._maybe(super().append, *args)


def test_a_database_that_is_away_for_a_moment_loses_no_epoch(bench: Bench, database: Database) -> None:
    away = Away(database)
    bench.supervisor = Supervisor(bench.settings, away, bench.storage, bench.cache, bench.context)
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    away.away.set()
    time.sleep(1)
    away.away.clear()
    epoch = bench.job(job).progress.epoch
    assert eventually(lambda: bench.training(job, epoch + 5))
    bench.store.actions.cancel("t", job.id)
    thread.join(30)
    rows = bench.store.queries.history("t", job.id)[1]
    assert [row.epoch for row in rows] == list(range(1, len(rows) + 1))


def test_a_database_away_past_the_lease_ends_the_trainer(bench: Bench, database: Database) -> None:
    away = Away(database)
    settings = replace(bench.settings, lease_seconds=2.0, heartbeat_seconds=0.5)
    bench.supervisor = Supervisor(settings, away, bench.storage, bench.cache, bench.context)
    job = bench.submit(**ENDLESS)
    thread = bench.start()
    assert eventually(lambda: bench.training(job))
    away.away.set()
    try:
        thread.join(30)
        assert not thread.is_alive()
        assert bench.trainer_pids() == []
        assert bench.job(job).status is Status.RUNNING, "the reaper puts it back"
    finally:
        away.away.clear()


def test_a_lease_is_renewed_while_a_job_runs(bench: Bench, database: Database) -> None:
    settings = replace(bench.settings, lease_seconds=2.0, heartbeat_seconds=0.3)
    bench.supervisor = Supervisor(settings, bench.store.leases, bench.storage, bench.cache, bench.context)
    job = bench.submit(**ENDLESS)
    thread = bench.start()

    def lease() -> float:
        with database.read() as c:
            return float(c.exec_driver_sql("SELECT lease_until FROM jobs").scalar_one())

    assert eventually(lambda: bench.training(job))
    first = lease()
    assert eventually(lambda: lease() > first + 2.5), "it is renewed beyond its first lease"
    assert bench.job(job).status is Status.RUNNING
    bench.store.actions.cancel("t", job.id)
    thread.join(30)
