"""A sweep deletes expired records with their files and nothing else, over both databases and both storages."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
import redis
from sqlalchemy import select, update

from service.core.actions import clock_check, retention
from service.core.actions.clock_check import ClockCheck
from service.core.actions.delete import delete_dataset, delete_job
from service.core.actions.retention import Retention
from service.core.broker.turns import Turns
from service.core.errors import Conflict, StorageError
from service.core.records.dataset import Contents, DatasetStatus
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.jobs.owner_actions import OwnerActions
from service.core.sql.tables import datasets, events
from service.core.storage import LocalStorage
from service.core.text import DAY
from tests.ports import eventually
from tests.servers import ON_DISK
from tests.service.core.actions.house import FAILED, House
from tests.service.core.sql.jobs.samples import SUCCESS


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


@ON_DISK
def test_without_settings_everything_is_kept_for_ever(house: House) -> None:
    job, dataset = house.job(days=30_000), house.dataset(days=30_000)
    assert house.sweep() == {}
    assert house.is_there(job)
    assert house.is_set(dataset)
    assert not house.settings.removes_anything


def test_only_jobs_ended_long_ago_are_deleted_with_their_files(house: House) -> None:
    old, failed = house.job(), house.job(FAILED)
    young = house.job(days=6)
    living = house.job(outcome=None)
    assert house.sweep(jobs=7)["jobs"] == 2
    assert [house.is_there(job) for job in (old, failed, young, living)] == [False, False, True, True]
    assert [bool(house.files(f"jobs/{job}")) for job in (old, failed, young, living)] == [False, False, True, True]
    with house.database.read() as c:
        assert c.execute(select(events.c.seq).where(events.c.job_id == old)).first() is None
    assert house.sweep(jobs=7).total() == 0


def test_a_job_that_is_pinned_stays_and_so_does_its_data_set(house: House) -> None:
    dataset = house.dataset()
    pinned = house.job(labels={"keep": "true"}, dataset={"id": dataset})
    before = house.files(f"jobs/{pinned}")
    assert house.sweep(jobs=7, checkpoints=7, datasets=7).total() == 0
    assert house.is_there(pinned)
    assert house.is_set(dataset)
    assert house.files(f"jobs/{pinned}") == before


def test_a_failed_job_loses_checkpoints_and_keeps_artifacts(house: House) -> None:
    job, young = house.job(FAILED), house.job(FAILED, days=1)
    assert house.sweep(checkpoints=7)["checkpoints"] == 1
    assert house.files(f"jobs/{job}") == {"a1/checkpoints/1/best_model.pth"}, "its best model is that of a checkpoint"
    (model,) = house.store.queries.artifacts("t", job)
    house.storage.open(model.key).close()
    assert len(house.files(f"jobs/{young}")) == 3
    assert len(house.store.queries.history("t", job)[1]) == 1
    assert house.sweep(checkpoints=7).total() == 0
    house.store.actions.retry("t", job)
    lease = house.store.leases.claim("worker", 60)
    assert lease is not None
    assert lease.checkpoints == (), "the retried job starts without checkpoints"


def test_a_data_set_is_deleted_once_unused_for_its_days(house: House) -> None:
    unused, used_lately, in_use, young = (house.dataset(days) for days in (10, 10, 10, 1))
    house.job(days=3, dataset={"id": used_lately})
    house.job(dataset={"id": unused})
    house.job(outcome=None, dataset={"id": in_use})
    assert house.sweep(datasets=7)["data sets"] == 1
    assert [house.is_set(each) for each in (unused, used_lately, in_use, young)] == [False, True, True, True]
    assert house.files(f"datasets/{unused}") == set()
    assert house.files(f"datasets/{used_lately}") == {"upload", "a1/pixels.bin"}


def test_the_last_use_of_a_data_set_outlives_the_job(house: House) -> None:
    by_its_owner, by_a_sweep, long_ago = (house.dataset(days=60) for _ in range(3))
    deleted = house.job(days=1, dataset={"id": by_its_owner})
    house.job(days=10, dataset={"id": by_a_sweep})
    house.job(days=40, dataset={"id": long_ago})
    house.store.actions.delete("t", deleted)
    assert house.sweep(jobs=7, datasets=30) == {"jobs": 2, "data sets": 1}
    assert [house.is_set(each) for each in (by_its_owner, by_a_sweep, long_ago)] == [True, True, False]


def test_weights_are_deleted_once_unused_for_their_days(house: House) -> None:
    unused, used_lately, in_use, young = (house.weights(days) for days in (10, 10, 10, 1))
    for source, options in ((used_lately, {"days": 3}), (unused, {}), (in_use, {"outcome": None})):
        house.job(**options, model={"arch": "resnet18", "weights": source})
    assert house.sweep(weights=7) == {"weights": 1}
    assert [house.are_weights(each) for each in (unused, used_lately, in_use, young)] == [False, True, True, True]
    assert house.files(f"weights/{unused}") == set()
    assert house.files(f"weights/{used_lately}") == {"abc.safetensors"}


def test_last_use_of_weights_outlives_the_job(house: House) -> None:
    kept, long_ago = house.weights(days=60), house.weights(days=60)
    house.job(days=10, model={"arch": "resnet18", "weights": kept})
    house.job(days=40, model={"arch": "resnet18", "weights": long_ago})
    assert house.sweep(jobs=7, weights=30) == {"jobs": 2, "weights": 1}
    assert [house.are_weights(each) for each in (kept, long_ago)] == [True, False]


def test_age_of_a_data_set_starts_when_it_was_read(house: House) -> None:
    dataset = house.dataset()
    with house.database.write() as c:
        c.execute(update(datasets).values(status=DatasetStatus.PROCESSING))
    reading = house.catalog.claim("worker", 60)
    assert reading is not None
    house.catalog.finish(reading, Contents(("a", "b"), (1, 1), (1, 8, 8)), [house.put(f"datasets/{dataset}/a1/x")])
    assert house.sweep(datasets=7).total() == 0
    assert house.is_set(dataset)


def test_an_expired_row_that_is_used_again_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.job(days=20)
    retried = house.job(FAILED)
    house.dataset()
    dataset = house.dataset()
    spec = house.store.queries.get("t", retried).spec

    def run(job_id: str) -> None:
        lease = house.store.leases.claim("worker", 60)
        assert lease is not None
        assert lease.job_id == job_id
        house.store.leases.finish(lease, SUCCESS, [house.put(f"jobs/{job_id}/a{lease.attempt}/best_model.pth")])

    def use_job(*given: Any) -> None:
        house.store.actions.retry("t", retried)
        run(retried)
        delete_job(*given)

    def use_dataset(*given: Any) -> None:
        used = replace(spec, dataset=replace(spec.dataset, id=dataset))
        run(house.store.actions.submit("t", NewJob(used))[0].id)
        delete_dataset(*given)

    monkeypatch.setattr("service.core.actions.retention.delete_dataset", use_dataset)
    assert house.sweep(datasets=7)["data sets"] == 1
    assert house.is_set(dataset)
    assert house.files(f"datasets/{dataset}") == {"upload", "a1/pixels.bin"}
    monkeypatch.setattr("service.core.actions.retention.delete_job", use_job)
    assert house.sweep(jobs=7)["jobs"] == 1
    assert house.is_there(retried)
    assert "a2/best_model.pth" in house.files(f"jobs/{retried}")


def test_a_job_whose_files_are_being_deleted_is_not_retried(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    job = house.job(FAILED)

    def delete(*given: Any) -> None:
        with pytest.raises(Conflict):
            house.store.actions.retry("t", job)
        delete_job(*given)

    monkeypatch.setattr("service.core.actions.retention.delete_job", delete)
    assert house.sweep(jobs=7)["jobs"] == 1


@ON_DISK
def test_nothing_is_deleted_if_the_clocks_differ(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ClockCheck(house.database)
    assert ours.agree()
    monkeypatch.setattr(house.database, "now", lambda: time.time() + DAY)
    assert not ours.agree()


@ON_DISK
@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_nothing_is_deleted_after_the_clock_was_set(house: House, jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, real, theirs = ClockCheck(house.database), time.time, house.database.now
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    monkeypatch.setattr(house.database, "now", lambda: theirs() + jump)  # a SQLite database has no other clock
    assert not ours.agree()
    assert ClockCheck(house.database).agree()


@ON_DISK
def test_a_process_that_has_just_begun_does_not_sweep(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, steady = ClockCheck(house.database), clock_check.steady
    assert not ours.have_settled()
    monkeypatch.setattr(clock_check, "steady", lambda: steady() + clock_check.SETTLED_SECONDS)
    assert ours.have_settled()


class Dying(RuntimeError):
    pass


@ON_DISK
@pytest.mark.parametrize("step", ["delete_job", "delete_dataset"])
def test_the_next_sweep_finishes_one_that_was_killed(house: House, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job, dataset = house.job(), house.dataset()

    def die(*_: Any) -> None:
        raise Dying

    with monkeypatch.context() as patch:
        patch.setattr(
            OwnerActions if step == "delete_job" else DatasetStore, "delete" if step == "delete_job" else "forget", die
        )
        with pytest.raises(Dying):
            house.sweep(jobs=7, datasets=7)
    house.sweep(jobs=7, datasets=7)
    for tenant, half in house.catalog.half_deleted():  # as workers do, a minute later
        house.catalog.forget(tenant, half)
    assert not house.is_there(job)
    assert not house.is_set(dataset)
    assert house.files(f"jobs/{job}") | house.files(f"datasets/{dataset}") == set()


@ON_DISK
def test_a_failed_deletion_does_not_stop_the_sweep(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = house.job(), house.job()
    real = LocalStorage.delete

    def fail(self: LocalStorage, prefix: str) -> None:
        if first in prefix:
            raise StorageError("the disk is gone")
        real(self, prefix)

    monkeypatch.setattr(LocalStorage, "delete", fail)
    assert house.sweep(jobs=7)["jobs"] == 1
    assert [house.is_there(job) for job in (first, second)] == [True, False]


@ON_DISK
def test_many_are_removed_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.core.sql.expired.AT_ONCE", 2)
    for _ in range(5):
        house.job()
    assert house.sweep(jobs=7)["jobs"] == 5


@ON_DISK
def test_one_process_sweeps_an_hour_and_none_while_redis_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.05)
    assert house.settings.redis_url is not None
    job, stop = house.job(), threading.Event()
    kept = replace(house.settings, keep_jobs_days=7.0)
    several = [Retention(kept, house.database, house.store, house.catalog, house.storage) for _ in range(3)]
    with redis.Redis.from_url(house.settings.redis_url) as client:
        client.delete(retention.TURN)
        threads = [threading.Thread(target=one.run, args=(stop,), daemon=True) for one in several]
        for thread in threads:
            thread.start()
        stop.wait(0.3)
        assert not client.exists(retention.TURN), "their clocks may not be set yet"
        assert Turns(house.settings.broker_url, retention.TURN, retention.SWEEP_SECONDS).take()
        assert 0 < int(client.ttl(retention.TURN)) <= retention.SWEEP_SECONDS
        monkeypatch.setattr(clock_check, "SETTLED_SECONDS", 0.0)
        stop.wait(0.5)
        assert house.is_there(job), "another process has taken the turn of this hour"
        client.delete(retention.TURN)
        assert eventually(lambda: not house.is_there(job))
        assert client.exists(retention.TURN)
        client.delete(retention.TURN)
    stop.set()
    for thread in threads:
        thread.join()
    assert not Turns("redis://127.0.0.1:1/0", retention.TURN, 60).take()
