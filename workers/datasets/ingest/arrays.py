"""Images that come as arrays: an npz with x uint8 [N, H, W] or [N, H, W, C] and y of whole numbers [N]."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from service.core.errors import InvalidData
from service.core.images import LARGEST_SIDE
from service.core.text import counted
from workers.datasets.ingest.members import BROKEN, MOST_MEMBERS, refuse_bomb
from workers.datasets.ingest.pack import Pixels

IMAGES, LABELS = "x.npy", "y.npy"
CHANNELS = (1, 3)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
NUMBERS = {"f": "floating-point numbers", "i": "signed numbers", "u": "unsigned numbers", "c": "complex numbers"}
ALLOWED = "an npz with x uint8 [N, H, W] or [N, H, W, C] with 1 or 3 channels, and y of whole numbers [N]"


def labels_of(path: Path) -> NDArray[np.int64]:
    """y, int64 [N]. Raises InvalidData."""
    with _opened(path) as archive, _member(archive, LABELS) as file:
        shape, dtype = _header(file, "y")
        if len(shape) != 1 or dtype.kind not in "iu":
            raise InvalidData(f"y is {dtype} {list(shape)}; allowed: {ALLOWED}")
        if not 0 < shape[0] <= MOST_MEMBERS:
            raise InvalidData(f"y has {shape[0]:,} labels; at most {MOST_MEMBERS:,}, at least one")
        values = np.frombuffer(_exactly(file, shape[0] * dtype.itemsize, "y"), dtype)
        if dtype.kind == "u" and values.max() > np.iinfo(np.int64).max:
            raise InvalidData("y has labels that are too large")
        return values.astype(np.int64)


def images_of(path: Path, count: int) -> Iterator[Pixels]:
    """The images of x, [H, W, C] each, of which there must be `count`. Raises InvalidData."""
    with _opened(path) as archive, _member(archive, IMAGES) as file:
        shape, dtype = _header(file, "x")
        if len(shape) == 3:  # noqa: PLR2004 - no channels
            shape = (*shape, 1)
        if dtype != np.uint8 and dtype.kind in NUMBERS:
            numbers = f"{NUMBERS[dtype.kind]} of {8 * dtype.itemsize} bits ({dtype})"
            raise InvalidData(f"x holds {numbers}; scale them to 0 to 255 and convert them. Allowed: {ALLOWED}")
        if dtype != np.uint8 or len(shape) != 4 or shape[3] not in CHANNELS or min(shape[1:3]) < 1:  # noqa: PLR2004
            raise InvalidData(f"x is {dtype} {list(shape)}; allowed: {ALLOWED}")
        if max(shape[1:3]) > LARGEST_SIDE:
            raise InvalidData(f"the images of x have {shape[1]}x{shape[2]} pixels; at most {LARGEST_SIDE} a side")
        if shape[0] != count:
            raise InvalidData(
                f"x has {counted(shape[0], 'image')} and y has {counted(count, 'label')}; the numbers must be equal"
            )
        height, width, channels = shape[1:]
        for _ in range(count):
            block = _exactly(file, height * width * channels, "x")
            yield np.frombuffer(block, np.uint8).reshape(height, width, channels)
        if file.read(1):
            raise InvalidData("x is longer than its header says")


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except BROKEN as error:
        raise InvalidData(f"the body is not a whole npz: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        refuse_bomb(archive.getinfo(name), name)
        return archive.open(name)
    except KeyError:
        has = ", ".join(ascii(member[:40]) for member in archive.namelist()[:5]) or "nothing"
        raise InvalidData(f"{name} is not in the npz, which has {has}; allowed: {ALLOWED}") from None
    except BROKEN as error:
        raise InvalidData(f"{name} cannot be read: {error}") from error


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        shape, is_fortran, dtype = HEADERS[npy.read_magic(file)](file)
    except (*BROKEN, KeyError, SyntaxError, TypeError) as error:
        raise InvalidData(f"{name} is not a numpy array: {error}") from error
    if is_fortran or dtype.hasobject:
        raise InvalidData(f"{name} is stored in Fortran order or holds objects; allowed: {ALLOWED}")
    return shape, dtype


def _exactly(file: IO[bytes], size: int, name: str) -> bytes:
    try:
        block = file.read(size)
    except BROKEN as error:
        raise InvalidData(f"{name} cannot be unpacked: {error}") from error
    if len(block) != size:
        raise InvalidData(f"{name} is cut off")
    return block
