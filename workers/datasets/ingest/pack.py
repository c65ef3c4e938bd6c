"""A data set as it is trained on: every image decoded once, in two files.

`pixels.bin`: the uint8 values of all images, one after another, each [H, W, C]. `index.npz`: `offsets` int64 [N], where
each image begins, `heights` and `widths` int32 [N], `labels` int64 [N], `parts` int8 [N] (0 train, 1 validation,
2 test) and `copies` int64 [N], for each image the first one that is (nearly) the same. Packs of release 0.2.0 and later
have `sixteen_bit_divisor` int64 [] and `background` uint8 [3] (red, green, blue) too, see Preprocessing, and `groups`
int64 [N], for each image the first one of the group that a label file names, the image itself if it has no group.
`copies` joins both kinds of groups.
"""

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import InvalidData
from service.core.images import Preprocessing
from service.core.records.dataset import INDEX, PIXELS

Pixels = NDArray[np.uint8]


@dataclass
class Pack:
    """Written image by image. Raises InvalidData once it is larger than allowed."""

    folder: Path
    most_bytes: int
    heights: "array[int]" = field(default_factory=lambda: array("i"))
    widths: "array[int]" = field(default_factory=lambda: array("i"))
    channels: "array[int]" = field(default_factory=lambda: array("b"))
    _bytes: int = 0

    def __enter__(self) -> "Pack":
        self._file = (self.folder / PIXELS).open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.heights)

    def add(self, pixels: Pixels) -> None:
        """One image, [H, W, C]."""
        self._bytes += pixels.nbytes
        if self._bytes > self.most_bytes:
            raise InvalidData(f"the decoded images are more than {self.most_bytes:,} bytes")
        for column, value in zip((self.heights, self.widths, self.channels), pixels.shape, strict=True):
            column.append(value)
        self._file.write(np.ascontiguousarray(pixels).data)

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """The different (channels, height, width)."""
        return sorted(set(zip(self.channels, self.heights, self.widths, strict=True)))

    def level(self) -> None:
        """Where some images have three channels, give the gray ones three too."""
        self._file.close()
        if len(set(self.channels)) == 1:
            return
        source, target = self.folder / PIXELS, self.folder / f"{PIXELS}.rgb"
        with source.open("rb") as reader, target.open("wb") as writer:
            for height, width, channels in zip(self.heights, self.widths, self.channels, strict=True):
                pixels = np.frombuffer(reader.read(height * width * channels), np.uint8)
                writer.write(np.repeat(pixels, 3).data if channels == 1 else pixels.data)
        target.replace(source)
        self.channels = array("b", [3]) * len(self)

    def index(self, preprocessing: Preprocessing, **columns: NDArray[Any]) -> None:
        """Write index.npz, with the columns that the pack itself does not know."""
        heights, widths = np.asarray(self.heights, np.int32), np.asarray(self.widths, np.int32)
        sizes = heights.astype(np.int64) * widths * self.channels[0]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])
        pixels = {
            "sixteen_bit_divisor": np.asarray(preprocessing.sixteen_bit_divisor, np.int64),
            "background": np.asarray(preprocessing.background, np.uint8),
        }
        everything: dict[str, Any] = {"offsets": offsets, "heights": heights, "widths": widths, **pixels, **columns}
        np.savez(self.folder / INDEX, **everything)


def pixels_of(picture: Image.Image) -> Pixels:
    """uint8 [H, W, C] of a picture in mode L or RGB."""
    pixels: Pixels = np.asarray(picture, np.uint8)
    return pixels[..., None] if picture.mode == "L" else pixels
