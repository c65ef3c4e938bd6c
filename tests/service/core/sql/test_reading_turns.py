"""Tenants take turns to have their data sets read, over both databases."""

import pytest

from service.core.records.dataset import DatasetError
from service.core.records.lease import Reading
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.storage import Artifact


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return everywhere


@pytest.fixture
def catalog(database: Database) -> DatasetStore:
    return DatasetStore(database)


def waiting(catalog: DatasetStore, tenant: str, *dataset_ids: str) -> None:
    for dataset_id in dataset_ids:
        upload = Artifact("upload", f"datasets/{dataset_id}/upload", 1, "0", "application/zip")
        catalog.add(tenant, dataset_id, "x", "zip", upload)


def claimed(catalog: DatasetStore, count: int) -> list[Reading]:
    return [reading for reading in (catalog.claim("worker", 60) for _ in range(count)) if reading]


def test_tenants_take_turns_to_have_their_sets_read(catalog: DatasetStore) -> None:
    waiting(catalog, "alice", *(f"ds_a{number}" for number in range(5)))
    waiting(catalog, "bob", "ds_b0")
    waiting(catalog, "carol", "ds_c0")
    first = claimed(catalog, 3)
    assert [reading.dataset_id for reading in first] == ["ds_a0", "ds_b0", "ds_c0"]
    for reading in first:
        catalog.fail(reading, DatasetError("invalid_data", "broken"))
    waiting(catalog, "bob", "ds_b1")
    (next_one,) = claimed(catalog, 1)
    catalog.fail(next_one, DatasetError("invalid_data", "broken"))
    assert [next_one.dataset_id, *(reading.dataset_id for reading in claimed(catalog, 2))] == [
        "ds_a1",
        "ds_b1",
        "ds_a2",
    ]


def test_a_set_waits_for_those_of_tenants_that_are_not_served(catalog: DatasetStore, database: Database) -> None:
    waiting(catalog, "alice", "ds_a0", "ds_a1")
    waiting(catalog, "bob", "ds_b0")
    claimed(catalog, 1)
    another = DatasetStore(database)
    assert [reading.dataset_id for reading in claimed(another, 2)] == ["ds_b0", "ds_a1"]
