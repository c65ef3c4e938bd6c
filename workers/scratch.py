"""The scratch folder of an attempt: its trainer writes there, and its supervisor publishes from there.

Files whose names begin with a dot are of use only while the run goes on.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.core.records.artifact_names import BEST_MODEL
from service.core.system import refuse_full_disk

OWNER = ".owner"  # locked by the worker while it uses the folder
KEPT = 2  # checkpoints: the supervisor copies one while the trainer may write the next


@dataclass(frozen=True)
class Scratch:
    """`reserve` are the bytes that must be free on the disk when the folder is made."""

    folder: Path
    reserve: int = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, lock it within the block, and delete it after the block. Raises DiskFull."""
        try:
            self.folder.mkdir(parents=True)
            refuse_full_disk(self.folder, self.reserve)
            with (self.folder / OWNER).open("w") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX)
                yield
        finally:
            _remove(self.folder)

    @property
    def last(self) -> Path:
        """The checkpoint from which a trainer continues, and which it replaces."""
        return self.folder / ".last.pt"

    @property
    def best_model(self) -> Path:
        return self.folder / BEST_MODEL

    @property
    def pack(self) -> Path:
        """The folder of the pack of a built-in data set, if the trainer writes one."""
        return self.folder / ".pack"

    @property
    def weights(self) -> Path:
        """The folder of the files of the weights that the run starts from, if its spec names any."""
        return self.folder / ".weights"

    @property
    def log(self) -> Path:
        """The stdout and stderr of the trainer."""
        return self.folder / ".log"

    def published(self) -> list[Path]:
        """The artifacts, by name."""
        return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))

    def saved(self, number: int) -> tuple[Path, Path]:
        """The last.pt and the best model of the checkpoint of this number; the model may not exist."""
        return self.folder / f".{number}.pt", self.folder / f".{number}.pth"

    def hold(self, number: int) -> None:
        """Link the current files under names that no later write replaces, and delete those of an older checkpoint."""
        last, best = self.saved(number)
        os.link(self.last, last)
        if self.best_model.exists():
            os.link(self.best_model, best)
        for old in self.saved(number - KEPT):
            old.unlink(missing_ok=True)


def sweep(root: Path) -> None:
    """Delete the folders below `root` that killed workers have left; those of live workers are locked and stay."""
    for owner in root.glob(f"*/*/{OWNER}"):
        with suppress(OSError), owner.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(owner.parent)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # not empty: another attempt has its folder there
        folder.parent.rmdir()
