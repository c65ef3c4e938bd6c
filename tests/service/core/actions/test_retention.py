"""A sweep deletes expired records with their files and nothing else, over both databases and both storages."""

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select, update

from service.core.actions import clock_check, retention
from service.core.actions.clock_check import ClockCheck
from service.core.actions.delete import delete_dataset, delete_job
from service.core.actions.retention import Retention
from service.core.actions.storage_owner import MARK, mark, owner_of, owns
from service.core.broker.turns import Turns
from service.core.errors import Conflict, StorageError
from service.core.records.dataset import Contents, DatasetStatus
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.installation_id import installation_id
from service.core.sql.jobs.owner_actions import OwnerActions
from service.core.sql.tables import datasets, events
from service.core.storage import LocalStorage, Storage, open_storage
from service.core.text import DAY
from tests.ports import eventually
from tests.servers import ON_DISK
from tests.service.core.actions.house import FAILED, House
from tests.service.core.sql.jobs.samples import SUCCESS


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings.storage_url)


@pytest.fixture
def house(settings: Settings, database: Database, storage: Storage, tmp_path: Path) -> House:
    return House(settings, database, storage, tmp_path)


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


def test_only_orphaned_files_are_deleted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mark(house.storage, house.database)
    job, dataset = house.job(), house.dataset()
    unknown = (f"jobs/job_{'0' * 20}", f"datasets/ds_{'0' * 20}")
    keys = [house.put(f"{folder}/a1/x").key for folder in unknown]
    strange = house.put("jobs/of_somebody/a1/x").key
    assert house.sweep(orphans=1).total() == 0, "the files are younger than a day"
    tomorrow = time.time() + 1.1 * DAY
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert house.sweep(orphans=1)["orphans"] == 2
    for key in keys:
        with pytest.raises(StorageError):
            house.storage.open(key)
    house.storage.open(strange).close()
    assert len(house.files(f"jobs/{job}")) == 4
    assert len(house.files(f"datasets/{dataset}")) == 2


@ON_DISK
def test_an_empty_database_makes_no_file_unknown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    key = house.put(f"jobs/job_{'0' * 20}/a1/x").key
    tomorrow = time.time() + 1.1 * DAY
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert house.sweep(orphans=1).total() == 0
    house.storage.open(key).close()
    assert owner_of(house.storage) is None


@pytest.fixture
def orphan(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a job without a record, older than a day, beside that of a recorded job."""
    house.job()
    folder = f"jobs/job_{'0' * 20}"
    house.put(f"{folder}/a1/x")
    tomorrow = time.time() + 1.1 * DAY
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    return folder


def test_the_owner_of_a_storage_deletes_its_orphaned_files(house: House, orphan: str) -> None:
    assert house.sweep(orphans=1).total() == 0, "it had no owner; another installation may mark it now"
    assert owner_of(house.storage) == installation_id(house.database)
    assert house.sweep(orphans=1)["orphans"] == 1
    assert owner_of(house.storage) == installation_id(house.database)


@ON_DISK
@pytest.mark.parametrize("mark_of_another", ['{"id": "another"}', '["no", "mark"]', ""])
def test_orphans_stay_in_the_storage_of_another_installation(
    house: House, orphan: str, mark_of_another: str, caplog: pytest.LogCaptureFixture
) -> None:
    (house.folder / "mark").write_text(mark_of_another)
    house.storage.put(MARK, house.folder / "mark")
    for _ in range(2):
        assert house.sweep(orphans=1).total() == 0
    assert house.files(orphan) == {"a1/x"}
    assert f"({MARK})" in caplog.text or f"{MARK} in the storage cannot be read" in caplog.text
    assert "orphaned files are not deleted" in caplog.text


def test_concurrent_callers_get_one_installation_id(house: House) -> None:
    said: list[str] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        own = Database(house.settings.database_url)
        own.now()  # connected: they ask in the same moment
        ready.wait()
        said.append(installation_id(own))
        own.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 8
    assert set(said) == {installation_id(house.database)}


@ON_DISK
def test_a_storage_is_marked_even_if_everything_is_kept(house: House) -> None:
    """Otherwise an installation pointed at it by mistake could mark it first, and sweep."""
    house.job()
    Retention(house.settings, house.database, house.store, house.catalog, house.storage).run(threading.Event())
    assert owns(house.database, house.storage)


@ON_DISK
def test_an_orphan_that_cannot_be_deleted_is_skipped_uncounted(
    house: House, orphan: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(house.storage, LocalStorage)
    mark(house.storage, house.database)
    shutil.copytree(house.storage.root / orphan, house.storage.root / f"jobs/job_{'1' * 20}")
    real = house.storage.delete

    def refuse(prefix: str) -> None:
        if prefix == orphan:
            raise StorageError(f"{prefix} cannot be deleted: Permission denied")
        real(prefix)

    monkeypatch.setattr(house.storage, "delete", refuse)
    assert house.sweep(orphans=1)["orphans"] == 1
    assert house.files(orphan) == {"a1/x"}
    assert f"cannot delete orphaned files: {orphan}" in caplog.text


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


@ON_DISK
def test_the_age_of_files_is_their_newest_one_s(house: House) -> None:
    house.job()
    mark(house.storage, house.database)
    folder = f"jobs/job_{'1' * 20}"
    assert isinstance(house.storage, LocalStorage)
    for name in ("a1/old", "a1/new"):
        house.put(f"{folder}/{name}")
    os.utime(house.storage.root / folder / "a1/old", (1, 1))
    assert house.sweep(orphans=1).total() == 0
    os.utime(house.storage.root / folder / "a1/new", (1, 1))
    assert house.sweep(orphans=1)["orphans"] == 1
