"""The packs of data sets on this machine: fetched from the storage once, deleted when their room is needed."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.core.errors import NotFound
from service.core.records.builtin_datasets import BUILT_IN
from service.core.sql.datasets import DatasetStore
from service.core.storage import Storage
from workers.datasets.room import READY, PackRoom


class DatasetCache:
    """The packs in the folder `root`, see `PackRoom`."""

    def __init__(self, root: Path, datasets: DatasetStore, storage: Storage, most_bytes: int, reserve: int = 0) -> None:
        self._datasets, self._storage = datasets, storage
        self.room = PackRoom(root, most_bytes, reserve)

    @contextmanager
    def checkout(self, dataset_id: str) -> Iterator[Path | None]:
        """The folder of a set's pack, which stays within the block; None for a built-in set.

        Raises NotFound and StorageError.
        """
        if dataset_id in BUILT_IN:
            yield None
            return
        folder = self.room.root / dataset_id
        folder.mkdir(parents=True, exist_ok=True)
        with self.room.lock(folder).open("w") as lock:
            while True:
                fcntl.flock(lock, fcntl.LOCK_SH)
                if (folder / READY).exists():
                    (folder / READY).touch()  # the time of the last checkout
                    break
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / READY).exists():
                    self._fetch(dataset_id, folder)
            yield folder

    def drop_gone(self) -> None:
        """Delete the packs of data sets that were deleted."""
        for folder in self.room.packs():
            try:
                self._datasets.packed(folder.name)
            except NotFound:
                self.room.drop(folder)

    def _fetch(self, dataset_id: str, folder: Path) -> None:
        files = self._datasets.packed(dataset_id)
        self.room.make(sum(file.bytes for file in files))
        folder.mkdir(exist_ok=True)
        for file in files:
            self._storage.get(file, folder / file.name)
        (folder / READY).touch()
