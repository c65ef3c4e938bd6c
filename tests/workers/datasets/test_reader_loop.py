"""Data sets are read by whichever worker claims them, under a lease, and end ready or with a reason."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.core.broker.wakeups import Wakeups
from service.core.errors import Conflict, DiskFull, LeaseLost, NotFound, ObjectMissing, StorageError
from service.core.records.dataset import DatasetError, DatasetStatus, ReadingOptions
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.weights import WeightsStore
from service.core.storage import Artifact, LocalStorage, Storage, open_storage
from tests.pictures import folders, zipped
from tests.ports import eventually
from workers.datasets.cache import DatasetCache
from workers.datasets.reader_loop import DatasetReader
from workers.datasets.room import PackRoom
from workers.training.data.packed import load

DISK_USAGE = "service.core.system.shutil.disk_usage"
NEVER = threading.Event()  # a request to stop that no test makes


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, backoff_seconds=0.0)


@pytest.fixture
def wakeups(settings: Settings) -> Wakeups:
    return Wakeups(settings.broker_url)


@pytest.fixture
def catalog(database: Database, wakeups: Wakeups) -> DatasetStore:
    return DatasetStore(database, wakeups.publish)


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings.storage_url)


@pytest.fixture
def immediate_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers finish a deletion at once, not after DELETION_SECONDS."""
    monkeypatch.setattr("service.core.sql.datasets.DELETION_SECONDS", -1.0)


@pytest.fixture
def dataset_reader(
    settings: Settings, catalog: DatasetStore, storage: Storage, wakeups: Wakeups, cache: DatasetCache
) -> DatasetReader:
    return DatasetReader(settings, catalog, WeightsStore(catalog._db), storage, cache, wakeups, "worker")


def sent(catalog: DatasetStore, storage: Storage, tmp_path: Path, data: bytes, dataset_id: str = "ds_1") -> str:
    path = tmp_path / "sent"
    path.write_bytes(data)
    catalog.add("t", dataset_id, "stripes", "zip", storage.put(f"datasets/{dataset_id}/upload", path))
    return dataset_id


def test_an_uploaded_set_becomes_ready_and_its_upload_is_deleted(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    assert catalog.get("t", dataset_id).status == "processing"
    assert dataset_reader.read_next(NEVER) == dataset_id
    dataset = catalog.get("t", dataset_id)
    assert dataset.status == "ready"
    assert dataset.contents is not None
    assert dataset.contents.samples == 9
    assert {file.name for file in dataset.packed} == {"pixels.bin", "index.npz", "contents.json"}
    with pytest.raises(ObjectMissing):
        storage.open(f"datasets/{dataset_id}/upload")
    assert dataset_reader.read_next(NEVER) is None


def test_a_set_that_cannot_be_read_says_why(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3) | {"rows/000.png": b"x"}))
    dataset_reader.read_next(NEVER)
    dataset = catalog.get("t", dataset_id)
    assert dataset.error is not None
    assert (dataset.status, dataset.error.code) == ("failed", "invalid_data")
    assert "'rows/000.png'" in dataset.error.detail


def test_options_and_a_label_file_reach_the_reader(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    flat = {name.replace("/", "_"): data for name, data in folders(each=3).items()}
    rows = "".join(f"{name},{name.partition('_')[0]}\n" for name in flat)
    (tmp_path / "sent").write_bytes(zipped(flat | {"broken.png": b"x"}))
    (tmp_path / "table").write_text(f"file_name,label\n{rows}broken.png,rows\n")
    upload = storage.put("datasets/ds_1/upload", tmp_path / "sent")
    labels = storage.put("datasets/ds_1/labels.csv", tmp_path / "table")
    catalog.add("t", "ds_1", "flat", "zip", upload, ReadingOptions(skip_broken=True), labels)
    dataset_reader.read_next(NEVER)
    dataset = catalog.get("t", "ds_1")
    assert dataset.contents is not None
    assert (dataset.contents.samples, dataset.contents.classes) == (9, ("checks", "columns", "rows"))
    assert dataset.options.skip_broken
    with pytest.raises(ObjectMissing):
        storage.open("datasets/ds_1/labels.csv")


def test_a_running_reader_is_woken(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=dataset_reader.run, args=(stop,))
    thread.start()
    try:
        dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
        assert eventually(lambda: catalog.get("t", dataset_id).status == "ready")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_a_reader_that_stops_leaves_the_set_to_another(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=600)))
    stop = threading.Event()
    thread = threading.Thread(target=dataset_reader.read_next, args=(stop,))
    thread.start()
    time.sleep(0.3)
    stop.set()
    thread.join(20)
    assert catalog.get("t", dataset_id).status == "processing"
    assert dataset_reader.read_next(NEVER) == dataset_id, "at once, not after the lease"
    assert catalog.get("t", dataset_id).status == "ready"


def test_a_reader_that_has_lost_its_lease_changes_nothing(
    catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    first = catalog.claim("one", 0.0)
    time.sleep(0.05)
    second = catalog.claim("two", 60)
    assert first is not None
    assert second is not None
    assert (first.attempt, second.attempt) == (1, 2)
    for write in (catalog.release, lambda reading: catalog.renew(reading, 60)):
        with pytest.raises(LeaseLost):
            write(first)
    with pytest.raises(LeaseLost):
        catalog.fail(first, DatasetError("x", "y"))
    catalog.renew(second, 60)
    assert catalog.claim("three", 60) is None, "it is held"


def test_a_set_that_costs_every_reader_has_failed(catalog: DatasetStore, storage: Storage, tmp_path: Path) -> None:
    dataset_id = sent(catalog, storage, tmp_path, b"x")
    for _ in range(3):
        assert catalog.claim("one", 0.0) is not None
        time.sleep(0.05)
    assert catalog.claim("one", 0.0) is None
    dataset = catalog.get("t", dataset_id)
    assert dataset.error is not None
    assert (dataset.status, dataset.error.code) == ("failed", "worker_lost")


def test_a_set_without_its_upload_is_tried_again_and_then_fails(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    storage.delete(f"datasets/{dataset_id}/upload")
    for _ in range(3):
        assert catalog.get("t", dataset_id).status == "processing"
        assert dataset_reader.read_next(NEVER) == dataset_id
    dataset = catalog.get("t", dataset_id)
    assert dataset.error is not None
    assert (dataset.status, dataset.error.code) == ("failed", "not_read")
    assert "upload" in dataset.error.detail


class Slow(LocalStorage):
    """Takes longer than a lease."""

    def get(self, artifact: Artifact, target: Path) -> None:
        time.sleep(2.5)
        super().get(artifact, target)


def test_a_lease_is_kept_however_long_the_storage_takes(
    settings: Settings, catalog: DatasetStore, cache: DatasetCache, wakeups: Wakeups, tmp_path: Path
) -> None:
    storage = Slow(tmp_path / "slow")
    brief = replace(settings, lease_seconds=1.0, heartbeat_seconds=0.2)
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    thread = threading.Thread(
        target=DatasetReader(brief, catalog, WeightsStore(catalog._db), storage, cache, wakeups, "worker").read_next,
        args=(NEVER,),
    )
    thread.start()
    time.sleep(1.5)
    assert catalog.claim("another", 60) is None
    thread.join()
    assert catalog.get("t", dataset_id).status == "ready"


def test_a_set_that_is_deleted_while_it_is_read_leaves_nothing(
    dataset_reader: DatasetReader,
    catalog: DatasetStore,
    storage: Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    finish = catalog.finish

    def deleted_before(*arguments: Any) -> None:
        catalog.hide("t", dataset_id)
        storage.delete(f"datasets/{dataset_id}/upload")
        finish(*arguments)

    monkeypatch.setattr(catalog, "finish", deleted_before)
    dataset_reader.read_next(NEVER)
    for name in ("pixels.bin", "index.npz", "contents.json"):
        with pytest.raises(ObjectMissing):
            storage.open(f"datasets/{dataset_id}/a1/{name}")


@pytest.mark.usefixtures("immediate_deletion")
def test_a_worker_finishes_a_deletion(
    dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, cache: DatasetCache, ready: tuple[str, str]
) -> None:
    with cache.checkout(ready[0]) as folder:
        pass
    catalog.hide("t", ready[0])
    dataset_reader.tidy()
    with pytest.raises(NotFound):
        catalog.hide("t", ready[0])
    with pytest.raises(ObjectMissing):
        storage.open(f"datasets/{ready[0]}/a1/pixels.bin")
    assert folder is not None
    assert not folder.exists(), "the cached copy is deleted too"


@pytest.mark.usefixtures("immediate_deletion")
def test_a_deletion_that_the_storage_refuses_stops_no_other(
    dataset_reader: DatasetReader,
    catalog: DatasetStore,
    storage: Storage,
    ready: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for dataset_id in ready:
        catalog.hide("t", dataset_id)
    held, _ = (dataset_id for _, dataset_id in catalog.half_deleted())

    def refuse(prefix: str) -> None:
        if prefix == f"datasets/{held}":
            raise StorageError(f"{prefix} cannot be deleted: Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", refuse)
        dataset_reader.tidy()
    assert [dataset_id for _, dataset_id in catalog.half_deleted()] == [held]


@pytest.fixture
def cache(settings: Settings, catalog: DatasetStore, storage: Storage) -> DatasetCache:
    return DatasetCache(settings.home / "datasets", catalog, storage, most_bytes=10_000)


@pytest.fixture
def ready(dataset_reader: DatasetReader, catalog: DatasetStore, storage: Storage, tmp_path: Path) -> tuple[str, str]:
    names = ("ds_a", "ds_b")
    for name in names:
        sent(catalog, storage, tmp_path, zipped(folders(each=8)), name)
        dataset_reader.read_next(NEVER)
    return names


def test_a_pack_is_fetched_once_and_dropped_when_room_is_needed(
    cache: DatasetCache, storage: Storage, ready: tuple[str, str]
) -> None:
    first, second = ready
    with cache.checkout(first) as folder:
        assert folder is not None
        assert (folder / "pixels.bin").stat().st_size == 24 * 256
        with cache.checkout(first) as again, cache.checkout(second) as other:
            assert again == folder
            assert other is not None
            assert (folder / "pixels.bin").exists(), "a pack in use stays, even when room is needed"
            assert (other / "pixels.bin").exists()
    storage.delete("datasets")
    with cache.checkout(first) as folder:
        assert folder is not None
        assert (folder / "pixels.bin").exists(), "it is not fetched again"


def test_the_pack_that_was_used_longest_ago_makes_room(cache: DatasetCache, ready: tuple[str, str]) -> None:
    first, second = ready
    with cache.checkout(first) as folder:
        assert folder is not None
    (folder / ".images-8-1.partial").symlink_to("gone")  # a trainer renames such a file while the sizes are summed
    with cache.checkout(second):
        assert not folder.exists()
    with cache.checkout(first) as folder:
        assert folder is not None
        assert (folder / "pixels.bin").exists()


def test_resized_images_count_before_they_are_written(
    settings: Settings, catalog: DatasetStore, storage: Storage, ready: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DatasetCache(settings.home / "datasets", catalog, storage, most_bytes=50_000)
    with cache.checkout(ready[1]) as other, cache.checkout(ready[0]) as folder:
        assert folder is not None
        assert other is not None
        load(folder, 16, folder, "square", cache.room.make)
        load(folder, 40, folder, "square", cache.room.make)
        assert other.exists(), "it is in use"
    with cache.checkout(ready[0]):
        load(folder, 24, folder, "square", cache.room.make)
        assert (folder / ".images-24-1.bin").stat().st_size == 24 * 24 * 24
        assert not other.exists(), "the pack that was not in use made room"
        monkeypatch.setattr(DISK_USAGE, lambda _: SimpleNamespace(free=0))
        with pytest.raises(DiskFull, match="bytes are needed"):
            load(folder, 8, folder, "square", PackRoom(cache.room.root, 1 << 40, reserve=1).make)
    assert not list(folder.glob(".images-8-*.*i*"))


def test_a_set_in_use_cannot_be_deleted_nor_a_deleted_one_used(
    catalog: DatasetStore, database: Database, ready: tuple[str, str]
) -> None:
    store, first = Store(database), ready[0]
    spec = JobSpec.from_dict({"dataset": {"id": first}}).filled(1)
    job, _ = store.actions.submit("t", NewJob(spec))
    with pytest.raises(Conflict, match=job.id):
        catalog.hide("t", first)
    store.actions.cancel("t", job.id)
    with pytest.raises(NotFound):
        catalog.hide("another", first)
    catalog.hide("t", first)
    with pytest.raises(Conflict, match="cannot be trained on any more"):
        store.actions.submit("t", NewJob(spec))
    with pytest.raises(NotFound):
        catalog.get("t", first)
    catalog.hide("t", first)
    catalog.forget("t", first)
    with pytest.raises(NotFound):
        catalog.hide("t", first)
    assert [dataset.id for dataset in catalog.list("t", 10).items] == [ready[1]]
    assert catalog.list("another", 10).items == ()


def test_a_set_that_is_deleted_while_it_is_read_stays_deleted(
    catalog: DatasetStore, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    reading = catalog.claim("one", 60)
    assert reading is not None
    catalog.hide("t", dataset_id)
    with pytest.raises(LeaseLost):
        catalog.renew(reading, 60)
    assert catalog.claim("two", 60) is None
    assert DatasetStatus.DELETING not in {dataset.status for dataset in catalog.list("t", 10).items}


def test_a_reader_leaves_a_share_of_the_disk(
    settings: Settings, catalog: DatasetStore, storage: Storage, cache: DatasetCache, wakeups: Wakeups, tmp_path: Path
) -> None:
    dataset_id = sent(catalog, storage, tmp_path, zipped(folders(each=3)))
    full = replace(settings, disk_reserve_bytes=1 << 50)
    reader = DatasetReader(full, catalog, WeightsStore(catalog._db), storage, cache, wakeups, "worker")
    for _ in range(3):
        assert reader.read_next(NEVER) == dataset_id
    dataset = catalog.get("t", dataset_id)
    assert dataset.error is not None
    assert (dataset.status, dataset.error.code) == ("failed", "not_read")
    assert "the disk is nearly full" in dataset.error.detail


def test_a_cache_leaves_a_share_of_the_disk(
    settings: Settings, catalog: DatasetStore, storage: Storage, ready: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ready
    cache = DatasetCache(settings.home / "datasets", catalog, storage, 1 << 40, reserve=1000)
    with cache.checkout(first) as folder:
        assert folder is not None
    monkeypatch.setattr(DISK_USAGE, lambda _: SimpleNamespace(free=0 if folder.exists() else 1 << 30))
    with cache.checkout(second) as other:
        assert other is not None
        assert not folder.exists(), "it made room"
    monkeypatch.setattr(DISK_USAGE, lambda _: SimpleNamespace(free=0))
    with pytest.raises(DiskFull, match="nearly full"), cache.checkout(first):
        pass
