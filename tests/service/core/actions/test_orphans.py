"""A sweep deletes files without a record, in a storage of its own installation, over both databases and storages."""

import os
import shutil
import threading
import time

import pytest

from service.core.actions.retention import Retention
from service.core.actions.storage_owner import MARK, mark, owner_of, owns
from service.core.errors import StorageError
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.installation_id import installation_id
from service.core.storage import LocalStorage
from service.core.text import DAY
from tests.servers import ON_DISK
from tests.service.core.actions.house import House


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


def test_only_orphaned_files_are_deleted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mark(house.storage, house.database)
    job, dataset, weights = house.job(), house.dataset(), house.weights()
    unknown = (f"jobs/job_{'0' * 20}", f"datasets/ds_{'0' * 20}", f"weights/wgt_{'0' * 20}")
    keys = [house.put(f"{folder}/a1/x").key for folder in unknown]
    strange = house.put("jobs/of_somebody/a1/x").key
    assert house.sweep(orphans=1).total() == 0, "the files are younger than a day"
    tomorrow = time.time() + 1.1 * DAY
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    assert house.sweep(orphans=1)["orphans"] == 3
    for key in keys:
        with pytest.raises(StorageError):
            house.storage.open(key)
    house.storage.open(strange).close()
    assert len(house.files(f"jobs/{job}")) == 4
    assert len(house.files(f"datasets/{dataset}")) == 2
    assert len(house.files(f"weights/{weights}")) == 1


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
