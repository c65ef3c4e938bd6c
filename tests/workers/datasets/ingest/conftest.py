"""A reader of archives into a folder of the test."""

from pathlib import Path

import pytest

from service.core.records.dataset import ReadingOptions
from tests.workers.datasets.ingest.reading import MOST, Read, Reader
from workers.datasets.ingest.read import DEFAULTS, read


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    def of(
        data: bytes,
        kind: str = "zip",
        most: int = MOST,
        *,
        skip_broken: bool = False,
        background: str = DEFAULTS.background,
        labels: bytes | None = None,
        labels_name: str = "labels.csv",
    ) -> Read:
        source, folder = tmp_path / "upload", tmp_path / "pack"
        source.write_bytes(data)
        folder.mkdir(exist_ok=True)
        beside = None
        if labels is not None:
            beside = tmp_path / labels_name
            beside.write_bytes(labels)
        return Read(folder, read(kind, source, folder, most, ReadingOptions(skip_broken, background), beside))

    return of
