"""Room for the packs of data sets on this machine: those whose last use is longest ago are deleted for new files."""

import fcntl
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.core.system import has_room, refuse_full_disk

READY = ".ready"  # in the folder of a whole pack; its time is that of the last checkout


@dataclass(frozen=True)
class PackRoom:
    """A folder of packs. Those that no run uses take at most `most_bytes` with the files beside them, such as resized
    images. All leave `reserve` bytes of the disk free.
    """

    root: Path
    most_bytes: int
    reserve: int = 0

    def make(self, needed: int) -> None:
        """Delete packs until `needed` bytes have room, but those that are checked out now. Raises DiskFull."""
        packs = self.packs()
        packs.sort(key=lambda folder: (folder / READY).stat().st_mtime)
        sizes = {folder: _bytes_in(folder) for folder in packs}
        total = needed + sum(sizes.values())
        for folder in packs:
            if total <= self.most_bytes and has_room(self.root, self.reserve, needed):
                return
            if self.drop(folder):
                total -= sizes[folder]
        refuse_full_disk(self.root, self.reserve, needed)

    def packs(self) -> list[Path]:
        """The folders of the whole packs."""
        return [folder for folder in self.root.glob("*") if (folder / READY).exists()]

    def drop(self, folder: Path) -> bool:
        """Delete a pack; False where it is checked out."""
        with suppress(OSError), self.lock(folder).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / READY).unlink()
            shutil.rmtree(folder)
            return True
        return False

    def lock(self, folder: Path) -> Path:
        """Beside the folder, and never deleted: a process that waits for the lock must not wait for a deleted file."""
        return self.root / f".{folder.name}.lock"


def _bytes_in(folder: Path) -> int:
    """The size of its files, without those that a trainer moves meanwhile."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
