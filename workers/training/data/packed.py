"""Loading an uploaded data set from its pack (workers/datasets/ingest/pack.py)."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from service.core.images import SQUARE, Preprocessing
from service.core.records.dataset import INDEX, PIXELS, Contents
from workers.training.data.images import ImageSet
from workers.training.data.mapped import MakeRoom, anywhere, mapped
from workers.training.data.resizing import resize_one

AT_ONCE = 64  # images that a thread resizes in a row
RESIZED = ".images-{size}-1.bin"  # of squares of this size; the last number changes with the code that resizes


def load(folder: Path, side: int | None, resized: Path, way: str = SQUARE, make_room: MakeRoom = anywhere) -> ImageSet:
    """The set in the folder of a pack. The pixels are mapped into memory and not read.

    Images that do not have the size of the input are resized once, to squares of `side` pixels (None: those of the
    set's shape) in a `way` of dataset.resize, into a file in the folder `resized`. An existing file is used again.
    Raises DiskFull where `make_room` finds none for it.
    """
    contents = Contents.of_pack(folder)
    with np.load(folder / INDEX, allow_pickle=False) as index:
        columns = {name: torch.from_numpy(index[name]) for name in index.files}
    size = (folder / PIXELS).stat().st_size
    pixels = torch.from_file(str(folder / PIXELS), shared=False, size=size, dtype=torch.uint8)
    channels, height, width = contents.shape
    if contents.is_uniform and side in (None, height if height == width else None):
        stored = pixels.view(-1, height, width, channels).permute(0, 3, 1, 2)
    else:
        side = side or height
        sized = (len(columns["offsets"]), side, side, channels)
        file = resized / RESIZED.format(size=side if way == SQUARE else f"{side}-{way}")
        images = mapped(
            file,
            math.prod(sized),
            lambda empty: _resize_into(empty.view(sized), way, pixels, columns),
            make_room,
        )
        stored = images.view(sized).permute(0, 3, 1, 2)
    return ImageSet(
        stored,
        columns["labels"],
        contents.classes,
        parts=columns["parts"] if contents.parts else None,
        copies=columns["copies"],
        groups=columns.get("groups"),  # None in a pack of release 0.1.0
        known_digest=contents.digest,
        preprocessing=_preprocessing(columns),
        resize=way,
    )


def _preprocessing(columns: dict[str, Tensor]) -> Preprocessing:
    if "background" not in columns:  # a pack of release 0.1.0
        return Preprocessing()
    red, green, blue = columns["background"].tolist()
    return Preprocessing(int(columns["sixteen_bit_divisor"]), (red, green, blue))


def _resize_into(images: Tensor, way: str, pixels: Tensor, columns: dict[str, Tensor]) -> None:
    """Fill images uint8 [N, side, side, C] from pixels uint8 [all bytes]."""
    count, side, _, channels = images.shape
    offsets, heights, widths = (columns[name].tolist() for name in ("offsets", "heights", "widths"))

    def fill(first: int) -> None:
        for i in range(first, min(first + AT_ONCE, count)):
            height, width = heights[i], widths[i]
            whole = pixels[offsets[i] : offsets[i] + height * width * channels].view(height, width, channels)
            images[i].numpy()[:] = resize_one(whole.numpy(), side, way)

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # the resizing itself runs outside Python's lock
        for _ in threads.map(fill, range(0, count, AT_ONCE)):
            pass
