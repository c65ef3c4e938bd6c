"""A fingerprint of each image, taken as the images are read: a digest of its pixels, and two thumbnails."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.datasets.ingest.pack import Pixels

MOST_COMPARED = 200_000  # images; larger sets are not searched for near copies, to limit memory and time
GRAY_SIDE, COLOUR_SIDE = 32, 8  # pixels of the thumbnails


@dataclass
class Prints:
    """The fingerprints of all images in their order. Thumbnails exist for the first MOST_COMPARED images."""

    digests: list[bytes] = field(default_factory=list)
    constant: list[int] = field(default_factory=list)
    _gray: bytearray = field(default_factory=bytearray)
    _colour: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.digests)

    def add(self, pixels: Pixels) -> None:
        """The next image, uint8 [H, W, C]."""
        shape = np.asarray(pixels.shape, np.int32).tobytes()
        data = np.ascontiguousarray(pixels)
        self.digests.append(hashlib.blake2b(data.data, digest_size=16, salt=shape).digest())
        if (data[0] == data[0, 0]).all() and (data == data[0, 0]).all():  # the first row settles it for most images
            self.constant.append(len(self) - 1)
        if len(self) > MOST_COMPARED:
            return
        picture = Image.fromarray(data[..., 0] if data.shape[2] == 1 else data)
        small = picture.resize((GRAY_SIDE, GRAY_SIDE), Image.Resampling.BILINEAR)
        self._gray += small.convert("L").tobytes()
        self._colour += small.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX).convert("RGB").tobytes()

    @property
    def are_compared(self) -> bool:
        """Whether every image has thumbnails."""
        return len(self) <= MOST_COMPARED

    @property
    def gray(self) -> NDArray[np.uint8]:
        """Gray thumbnails uint8 [N, 32, 32]."""
        return np.frombuffer(self._gray, np.uint8).reshape(-1, GRAY_SIDE, GRAY_SIDE)

    @property
    def colour(self) -> NDArray[np.uint8]:
        """Coloured thumbnails uint8 [N, 8, 8, 3]."""
        return np.frombuffer(self._colour, np.uint8).reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 3)
