"""A storage that reports its failures, so that they can be counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.core.errors import ObjectMissing, StorageError
from service.core.storage.objects import Artifact, Storage, StoredObject


class MonitoredStorage(Storage):
    """Wraps `storage`, and calls `failed` with put, get, open, delete, list or check on each StorageError.

    ObjectMissing is not reported, nor are errors while an opened object is read.
    """

    def __init__(self, storage: Storage, failed: Callable[[str], None]) -> None:
        self._storage, self._failed = storage, failed

    def put(self, key: str, source: Path) -> Artifact:
        with self._counting("put"):
            return self._storage.put(key, source)

    def get(self, artifact: Artifact, target: Path) -> None:
        with self._counting("get"):
            self._storage.get(artifact, target)

    def open(self, key: str) -> BinaryIO:
        with self._counting("open"):
            return self._storage.open(key)

    def delete(self, prefix: str) -> None:
        with self._counting("delete"):
            self._storage.delete(prefix)

    def names(self, folder: str) -> Iterator[str]:
        with self._counting("list"):
            yield from self._storage.names(folder)

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        with self._counting("list"):
            yield from self._storage.objects(prefix)

    def check(self) -> None:
        with self._counting("check"):
            self._storage.check()

    @contextmanager
    def _counting(self, operation: str) -> Iterator[None]:
        try:
            yield
        except ObjectMissing:
            raise
        except StorageError:
            self._failed(operation)
            raise
