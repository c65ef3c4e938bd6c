"""Decoded images in files that all trainers of a machine map into memory: the first one writes a file, and the pages of
the file are in memory once, however many jobs train on them.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from service.core.system import move_durably

MakeRoom = Callable[[int], object]  # for a file of this number of bytes; raises DiskFull


def anywhere(_: int) -> None:
    """Room without a limit."""


def mapped(file: Path, size: int, fill: Callable[[Tensor], object], make_room: MakeRoom = anywhere) -> Tensor:
    """The file as uint8 [size], mapped. If there is none, `fill` gets an empty tensor of this size, and it is written.

    What a process changes in the tensor, no other one sees. Raises OSError, as when the disk is full, and DiskFull.
    """
    if not file.exists():
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other trainers wait, and then find the file
            if not file.exists():
                make_room(size)
                _write(file, size, fill)
    return torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8)


def _write(file: Path, size: int, fill: Callable[[Tensor], object]) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("wb") as empty:
        os.posix_fallocate(empty.fileno(), 0, size)  # a write into a map of a full disk would end the process
    fill(torch.from_file(str(partial), shared=True, size=size, dtype=torch.uint8))
    move_durably(partial, file)
