"""The folder of an attempt: what its trainer writes there, what the supervisor publishes, and its checkpoints.

Everything whose name begins with a dot is of use only while the run is not over.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.core.records.artifact_names import BEST_MODEL

OWNER = ".owner"  # locked by the worker as long as it needs the folder
KEPT = 2  # checkpoints; the supervisor copies one while the trainer may write the next


@dataclass(frozen=True)
class Scratch:
    folder: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder is made, is ours within the block, and is gone after it."""
        try:
            self.folder.mkdir(parents=True)
            with (self.folder / OWNER).open("w") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX)
                yield
        finally:
            _remove(self.folder)

    @property
    def last(self) -> Path:
        """The checkpoint that a trainer goes on from, and writes anew."""
        return self.folder / ".last.pt"

    @property
    def best_model(self) -> Path:
        return self.folder / BEST_MODEL

    @property
    def log(self) -> Path:
        """What the trainer writes to its stdout and stderr."""
        return self.folder / ".log"

    def published(self) -> list[Path]:
        """The files that are the run's result."""
        return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))

    def saved(self, number: int) -> tuple[Path, Path]:
        """The last.pt and the best model of the checkpoint of this number; the model may not be there."""
        return self.folder / f".{number}.pt", self.folder / f".{number}.pth"

    def hold(self, number: int) -> None:
        """Give the files as they are now names of their own, which no later write replaces, and drop old ones."""
        last, best = self.saved(number)
        os.link(self.last, last)
        if self.best_model.exists():
            os.link(self.best_model, best)
        for old in self.saved(number - KEPT):
            old.unlink(missing_ok=True)


def sweep(root: Path) -> None:
    """Remove what workers that were killed have left below `root`; what a living one holds stays."""
    for owner in root.glob(f"*/*/{OWNER}"):
        with suppress(OSError), owner.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(owner.parent)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another attempt has its folder beside it
        folder.parent.rmdir()
