"""A reader of archives into a folder of the test."""

from pathlib import Path

import pytest

from service.core.records.dataset import ReadingOptions
from tests.workers.datasets.ingest.reading import MOST, Read, Reader
from workers.datasets.ingest.read import DEFAULTS, read


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    def of(data: bytes, kind: str = "zip", most: int = MOST, options: ReadingOptions = DEFAULTS) -> Read:
        source, folder = tmp_path / "upload", tmp_path / "pack"
        source.write_bytes(data)
        folder.mkdir(exist_ok=True)
        return Read(folder, read(kind, source, folder, most, options))

    return of
