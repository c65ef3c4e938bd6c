"""The outputs of a model for single images, and the file `predictions.npz` that holds them."""

import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidData

VALIDATION, TEST = 0, 1  # values of `part`
PARTS = {"validation": VALIDATION, "test": TEST}
TYPES = {"part": np.uint8, "index": np.int64, "label": np.int64, "logits": np.float32}
LOGITS = "logits"
ROWS = 1000  # images whose values are copied at one time
LOCAL_HEADER = 30  # bytes in a zip before the name of a member; its last 4 are the lengths of what follows


@dataclass(frozen=True)
class Predictions:
    """The logits of a model for N images and K classes.

    `part` uint8 [N] is 0 for validation and 1 for test, `index` int64 [N] is the image's place in the data set, `label`
    int64 [N] its class from 0 to K - 1, `logits` float32 [N, K].
    """

    part: NDArray[np.uint8]
    index: NDArray[np.int64]
    label: NDArray[np.int64]
    logits: NDArray[np.float32]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.label)

    def of(self, part: int) -> "Predictions":
        """The images of one part, in their order. Nothing is copied if they stand together, as in a job's file."""
        (places,) = np.nonzero(self.part == part)
        is_block = len(places) > 0 and places[-1] - places[0] + 1 == len(places)
        rows = slice(places[0], places[-1] + 1) if is_block else places
        return Predictions(self.part[rows], self.index[rows], self.label[rows], self.logits[rows])

    def save(self, file: BinaryIO) -> None:
        """Write an uncompressed npz."""
        np.savez(file, allow_pickle=False, **{name: getattr(self, name) for name in TYPES})


def write_joined(parts: Sequence[Predictions], file: BinaryIO) -> None:
    """Write the images of at least one part, one part after the other, as `Predictions.save` does, a few at a time."""
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name in TYPES:
            columns = [getattr(part, name) for part in parts]
            shape = (sum(map(len, columns)), *columns[0].shape[1:])
            header = np.lib.format.header_data_from_array_1_0(columns[0]) | {"shape": shape}
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for column in columns:
                    for start in range(0, len(column), ROWS):
                        member.write(column[start : start + ROWS].tobytes())


def joined(*parts: Predictions) -> Predictions:
    """The images of at least one part, one part after the other."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Predictions(*(np.concatenate(column) for column in columns))


def load(path: Path) -> Predictions:
    """Read a file of `Predictions.save`, which may be deleted afterwards. Raises InvalidData if it is not one."""
    try:
        with path.open("rb") as file:
            return read(file)
    except OSError as error:
        raise InvalidData(f"the predictions cannot be read: {error}") from error


def read(file: BinaryIO) -> Predictions:
    """Read an open file of the disk. The logits are mapped into memory, unless they are compressed: they are read when
    they are used. Raises InvalidData.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in TYPES if name != LOGITS}
            info = archive.zip.getinfo(f"{LOGITS}.npy")
            arrays[LOGITS] = _mapped(file, info) if info.compress_type == ZIP_STORED else archive[LOGITS]
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, BadZipFile, struct.error) as error:
        raise InvalidData(f"the predictions cannot be read: {error}") from error
    images = len(arrays["label"])
    if arrays[LOGITS].ndim != 2 or any(len(array) != images for array in arrays.values()):  # noqa: PLR2004
        raise InvalidData("the predictions cannot be read: their arrays differ in length")
    return Predictions(**{name: array.astype(TYPES[name], copy=False) for name, array in arrays.items()})


def _mapped(file: BinaryIO, info: ZipInfo) -> NDArray[np.float32]:
    """The array of an uncompressed member of a zip file, mapped into memory."""
    file.seek(info.header_offset)
    lengths = struct.unpack("<HH", file.read(LOCAL_HEADER)[-4:])
    start = info.header_offset + LOCAL_HEADER + sum(lengths)
    file.seek(start)
    np.lib.format.read_magic(file)
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if is_fortran or dtype.hasobject:
        raise ValueError("the logits are not stored row by row")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray(shape, dtype, mapped, file.tell())
