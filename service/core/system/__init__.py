"""What the operating system does: private files, files that survive a crash, room on a disk, an end with the parent."""

import ctypes
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from service.core.errors import DiskFull

PR_SET_PDEATHSIG = 1  # prctl(2); an exec keeps it
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # the errno of a write that found no space


def private_folder(folder: Path) -> None:
    """Create a folder and its missing parents, which only their owner can enter. Raises OSError."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def private_file(file: Path) -> None:
    """Create an empty file that only its owner can read, if there is none. Raises OSError."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def has_room(folder: Path, reserve: int, needed: int = 0) -> bool:
    """Whether `needed` bytes fit on the disk of an existing folder and leave `reserve` bytes free."""
    return shutil.disk_usage(folder).free - needed >= reserve


def refuse_full_disk(folder: Path, reserve: int, needed: int = 0) -> None:
    """Raise DiskFull unless `needed` bytes fit on the disk of an existing folder and leave `reserve` bytes free."""
    if not has_room(folder, reserve, needed):
        free = shutil.disk_usage(folder).free
        words = f"{needed:,} bytes are needed, {free:,} are free" if needed else f"{free:,} bytes are free"
        raise DiskFull(f"the disk is nearly full: {words}, and {reserve:,} stay free (RIGHTFIT_DISK_RESERVE_BYTES)")


@contextmanager
def whole_file(target: Path, move: Callable[[Path, Path], object] = Path.replace) -> Iterator[BinaryIO]:
    """Open a file for writing that appears as `target` when the block ends, or not at all if the block raises.

    The content goes to a temporary name in the same folder first; `move` gives it its final name. Raises OSError.
    """
    partial = target.with_name(f".{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            yield file
        move(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def durable_file(target: Path) -> AbstractContextManager[BinaryIO]:
    """As `whole_file`, and the file survives a crash of the machine once the block has ended."""
    return whole_file(target, move_durably)


def move_durably(partial: Path, target: Path) -> None:
    """Give a finished file its final name in the same folder: fsync, replace, fsync of the folder. Raises OSError."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Make Linux send this process a signal when the thread that started it ends. Does nothing on other systems."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
