"""The data sets that this machine has at hand: fetched from the storage once, dropped when room is needed."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.core.errors import NotFound
from service.core.records.builtin_datasets import BUILT_IN
from service.core.sql.datasets import DatasetStore
from service.core.storage import Storage

READY = ".ready"


class DatasetCache:
    """A folder of packs, at most `most_bytes` of those that no run needs."""

    def __init__(self, root: Path, catalog: DatasetStore, storage: Storage, most_bytes: int) -> None:
        self._root, self._catalog, self._storage, self._most = root, catalog, storage, most_bytes

    @contextmanager
    def checkout(self, dataset_id: str) -> Iterator[Path | None]:
        """The folder of a set's pack, which stays within the block; None for one that is built in. Raises NotFound."""
        if dataset_id in BUILT_IN:
            yield None
            return
        folder = self._root / dataset_id
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock(folder).open("w") as lock:
            while True:
                fcntl.flock(lock, fcntl.LOCK_SH)
                if (folder / READY).exists():
                    (folder / READY).touch()  # when it was last lent
                    break
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / READY).exists():
                    self._fetch(dataset_id, folder)
            yield folder

    def drop_gone(self) -> None:
        """Drop the packs of sets that were deleted."""
        for folder in self._packs():
            try:
                self._catalog.packed(folder.name)
            except NotFound:
                self._drop(folder)

    def _fetch(self, dataset_id: str, folder: Path) -> None:
        files = self._catalog.packed(dataset_id)
        self._make_room(sum(file.bytes for file in files))
        folder.mkdir(exist_ok=True)
        for file in files:
            self._storage.get(file, folder / file.name)
        (folder / READY).touch()

    def _lock(self, folder: Path) -> Path:
        """Beside the folder, and never removed: who waits for it must not wait for a file that is gone."""
        return self._root / f".{folder.name}.lock"

    def _make_room(self, needed: int) -> None:
        """Drop what was lent longest ago and is not lent now."""
        packs = self._packs()
        packs.sort(key=lambda folder: (folder / READY).stat().st_mtime)
        sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in packs}
        total = needed + sum(sizes.values())
        for folder in packs:
            if total <= self._most:
                return
            if self._drop(folder):
                total -= sizes[folder]

    def _packs(self) -> list[Path]:
        return [folder for folder in self._root.glob("*") if (folder / READY).exists()]

    def _drop(self, folder: Path) -> bool:
        """Whether it was dropped: what is lent stays."""
        with suppress(OSError), self._lock(folder).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / READY).unlink()
            shutil.rmtree(folder)
            return True
        return False
