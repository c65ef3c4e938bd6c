"""The packs of data sets on this machine: fetched from the storage once, deleted when their room is needed."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.core.errors import NotFound
from service.core.records.builtin_datasets import BUILT_IN
from service.core.sql.datasets import DatasetStore
from service.core.storage import Storage
from service.core.system import has_room, refuse_full_disk

READY = ".ready"


class DatasetCache:
    """A folder of packs. Those that no run uses take at most `most_bytes`. All leave `reserve` bytes free."""

    def __init__(self, root: Path, datasets: DatasetStore, storage: Storage, most_bytes: int, reserve: int = 0) -> None:
        self._root, self._datasets, self._storage = root, datasets, storage
        self._most, self._reserve = most_bytes, reserve

    @contextmanager
    def checkout(self, dataset_id: str) -> Iterator[Path | None]:
        """The folder of a set's pack, which stays within the block; None for a built-in set.

        Raises NotFound and StorageError.
        """
        if dataset_id in BUILT_IN:
            yield None
            return
        folder = self._root / dataset_id
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock(folder).open("w") as lock:
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
        for folder in self._packs():
            try:
                self._datasets.packed(folder.name)
            except NotFound:
                self._drop(folder)

    def _fetch(self, dataset_id: str, folder: Path) -> None:
        files = self._datasets.packed(dataset_id)
        self._make_room(sum(file.bytes for file in files))
        folder.mkdir(exist_ok=True)
        for file in files:
            self._storage.get(file, folder / file.name)
        (folder / READY).touch()

    def _lock(self, folder: Path) -> Path:
        """Beside the folder, and never deleted: a process that waits for the lock must not wait for a deleted file."""
        return self._root / f".{folder.name}.lock"

    def _make_room(self, needed: int) -> None:
        """Delete the packs whose last checkout is longest ago, but those that are checked out now. Raises DiskFull."""
        packs = self._packs()
        packs.sort(key=lambda folder: (folder / READY).stat().st_mtime)
        sizes = {folder: _bytes_in(folder) for folder in packs}
        total = needed + sum(sizes.values())
        for folder in packs:
            if total <= self._most and has_room(self._root, self._reserve, needed):
                return
            if self._drop(folder):
                total -= sizes[folder]
        refuse_full_disk(self._root, self._reserve, needed)

    def _packs(self) -> list[Path]:
        return [folder for folder in self._root.glob("*") if (folder / READY).exists()]

    def _drop(self, folder: Path) -> bool:
        """Delete a pack; False where it is checked out."""
        with suppress(OSError), self._lock(folder).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / READY).unlink()
            shutil.rmtree(folder)
            return True
        return False


def _bytes_in(folder: Path) -> int:
    """The size of its files, without those that a trainer moves meanwhile."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
