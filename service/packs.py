"""Single images of data sets, read from their packs in the storage (workers/datasets/ingest/pack.py)."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import NotFound, ObjectMissing
from service.core.records.builtin_datasets import BUILT_IN, pack_key
from service.core.records.dataset import INDEX, PIXELS, Dataset
from service.core.storage import Storage
from service.core.text import counted
from service.recent import Recent

MOST_HELD = 64 << 20  # bytes of indexes; one has 24 bytes for each image


@dataclass(frozen=True)
class Pack:
    """Where N images are in the object `pixels`: `offsets`, `heights`, `widths` and `labels`, each [N]."""

    pixels: str
    channels: int
    columns: Mapping[str, NDArray[np.integer]]

    def __len__(self) -> int:
        return len(self.columns["labels"])

    def first_of(self, label: int, most: int) -> list[int]:
        """The indices of the first images of a class."""
        found: list[int] = np.flatnonzero(self.columns["labels"] == label)[:most].tolist()
        return found


class PackReader:
    """Reads the bytes of single images, never those of a whole set. Safe in several threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage, self._held = storage, Recent[Pack](MOST_HELD)

    def pack(self, dataset: Dataset) -> Pack:
        """The pack of a data set. Raises NotFound if it has none yet, and StorageError."""
        keys = _keys(dataset)
        if not {PIXELS, INDEX} <= keys.keys() or dataset.contents is None:
            raise NotFound(f"the data set is {dataset.status}; it has images when it is ready")
        if held := self._held.get(keys[INDEX]):
            return held
        try:
            with self._storage.open(keys[INDEX]) as file, np.load(io.BytesIO(file.read())) as index:
                columns = {name: index[name] for name in ("offsets", "heights", "widths", "labels")}
        except ObjectMissing as error:
            if dataset.id not in BUILT_IN:
                raise
            raise NotFound(f"no worker has stored the images of {dataset.id} yet; the next job on it does") from error
        except (ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ObjectMissing(f"{keys[INDEX]} is damaged: {error}") from error
        pack = Pack(keys[PIXELS], dataset.contents.shape[0], columns)
        self._held.put(keys[INDEX], pack, sum(column.nbytes for column in columns.values()))
        return pack

    def images(self, pack: Pack, indices: list[int]) -> list[Image.Image]:
        """The images at these indices, gray or RGB. Raises NotFound for an index out of range, and StorageError."""
        for index in indices:
            if not 0 <= index < len(pack):
                raise NotFound(f"there is no image {index}; the data set has {counted(len(pack), 'image')}, from 0 on")
        with self._storage.open(pack.pixels) as file:
            return [_read(file, pack, index) for index in indices]


def _keys(dataset: Dataset) -> dict[str, str]:
    """The keys of the files of a pack by their names."""
    if dataset.id in BUILT_IN:
        return {name: pack_key(dataset.id, name) for name in (PIXELS, INDEX)}
    return {file.name: file.key for file in dataset.packed}


def _read(file: BinaryIO, pack: Pack, index: int) -> Image.Image:
    offset, height, width = (int(pack.columns[name][index]) for name in ("offsets", "heights", "widths"))
    file.seek(offset)
    data = file.read(height * width * pack.channels)
    if len(data) < height * width * pack.channels:
        raise ObjectMissing(f"{pack.pixels} is damaged: it ends before image {index} does")
    return Image.frombytes("L" if pack.channels == 1 else "RGB", (width, height), data)
