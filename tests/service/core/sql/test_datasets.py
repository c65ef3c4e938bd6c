"""Which workers read an uploaded set: those of release 0.1 pass over sets that they cannot read as promised."""

import pytest
from sqlalchemy import null, or_, select, update

from service.core.records.dataset import Contents, ReadingOptions
from service.core.sql.clock import now
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.tables import datasets
from service.core.storage import Artifact

UPLOAD = Artifact("upload", "datasets/ds_1/upload", 7, "9f" * 32, "application/zip")


CONTENTS = Contents(("cat", "dog"), (1, 1), (1, 8, 8))


@pytest.fixture
def store(database: Database) -> DatasetStore:
    return DatasetStore(database)


def is_free_for_0_1(database: Database) -> bool:
    """Whether the statement by which release 0.1 claims a set finds one."""
    is_free = or_(datasets.c.lease_until.is_(None), datasets.c.lease_until <= now())
    with database.read() as c:
        return c.execute(select(datasets.c.id).where(datasets.c.status == "processing", is_free)).first() is not None


def test_a_set_with_options_is_left_to_newer_workers(database: Database, store: DatasetStore) -> None:
    store.add("t", "ds_1", "n", "zip", UPLOAD, ReadingOptions())
    assert not is_free_for_0_1(database)
    reading = store.claim("worker", 60)
    assert reading is not None
    assert store.claim("another", 60) is None
    store.release(reading)
    assert not is_free_for_0_1(database)
    reading = store.claim("worker", 60)
    assert reading is not None
    store.put_off(reading, "no disk", -1)
    assert not is_free_for_0_1(database)
    reading = store.claim("worker", 60)
    assert reading is not None
    store.renew(reading, -1)
    assert not is_free_for_0_1(database), "a lease that has lapsed"


def test_a_set_of_release_0_1_is_read_by_every_worker(database: Database, store: DatasetStore) -> None:
    store.add("t", "ds_1", "n", "zip", UPLOAD)
    assert is_free_for_0_1(database)
    reading = store.claim("worker", 60)
    assert reading is not None
    assert not is_free_for_0_1(database)
    assert reading.options == ReadingOptions()
    store.release(reading)
    assert is_free_for_0_1(database)


def test_a_set_shows_the_background_that_was_used(database: Database, store: DatasetStore) -> None:
    store.add("t", "ds_1", "n", "zip", UPLOAD)
    reading = store.claim("worker", 60)
    assert reading is not None
    store.finish(reading, CONTENTS, [])
    assert store.get("t", "ds_1").options.background == "white"
    with database.write() as c:
        c.execute(update(datasets).values(options=null()))  # as a worker of release 0.1 leaves it
    assert store.get("t", "ds_1").options.background == "black"
