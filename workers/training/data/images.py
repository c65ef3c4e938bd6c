"""A labelled set of images."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.core.images import SQUARE, Preprocessing
from workers.training.data.resizing import resize

BY_DEFAULT = Preprocessing()
CHUNK_BYTES = 1 << 20  # of images at a time in passes over a whole set: their temporary copies stay in the cache


@dataclass(frozen=True)
class ImageSet:
    """stored uint8 [N, C, H, W] with values from 0 to 255, labels int64 [N] from 0 to len(classes) - 1; on the CPU.

    The stored images can be a file mapped into memory. `take` and `on` resize them to squares of `side` pixels; None
    keeps their size. `parts` int8 [N] is the part of the split of each image (0 train, 1 validation, 2 test), for a set
    that is already divided. `copies` int64 [N] is for each image the index of the first image of its group: images that
    are nearly identical, and `groups`, int64 [N] of the same kind, those that a label file names. A split may divide
    groups of copies that are too large for it, but never those of `groups`.
    `preprocessing` is how the pixels were made from files, `resize` how images of other sizes get that of the set.
    """

    stored: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    side: int | None = None
    parts: Tensor | None = None
    copies: Tensor | None = None
    groups: Tensor | None = None
    known_digest: str | None = None
    preprocessing: Preprocessing = BY_DEFAULT
    resize: str = SQUARE

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_groups(self) -> bool:
        """Whether there are images that stay together in a split."""
        return self.copies is not None and len(torch.unique(self.copies)) < len(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the images, after resizing."""
        channels, height, width = self.stored.shape[1:]
        return (channels, self.side, self.side) if self.side else (channels, height, width)

    @property
    def nbytes(self) -> int:
        """Bytes of all images after resizing."""
        channels, height, width = self.shape
        return len(self) * channels * height * width

    def take(self, indices: Tensor) -> Tensor:
        """The images uint8 [B, *shape] at int64 indices [B]."""
        return self._sized(self.stored.index_select(0, indices))

    def on(self, device: torch.device) -> Tensor:
        """All images uint8 [N, *shape] on the device, channels last. Returns the stored tensor itself if it is that."""
        last = torch.channels_last
        if self.side is None and device.type == "cpu" and self.stored.is_contiguous(memory_format=last):
            return self.stored
        images = torch.empty((len(self), *self.shape), dtype=torch.uint8, device=device, memory_format=last)
        for target, chunk in zip(torch.split(images, self._chunk), torch.split(self.stored, self._chunk), strict=True):
            target.copy_(self._sized(chunk))
        return images

    def chunks(self, indices: Tensor) -> Iterator[Tensor]:
        """The images at int64 indices [n], in chunks of about CHUNK_BYTES."""
        return (self.take(chunk) for chunk in torch.split(indices, self._chunk))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all stored pixels and labels, hexadecimal."""
        if self.known_digest:
            return self.known_digest
        sha = hashlib.sha256()
        for chunk in torch.split(self.stored, self._chunk):
            sha.update(chunk.contiguous().numpy().data)
        sha.update(self.labels.contiguous().numpy().data)
        return sha.hexdigest()

    @property
    def _chunk(self) -> int:
        """The number of images in a chunk, by the larger of their stored and resized sizes."""
        return max(1, CHUNK_BYTES // max(math.prod(self.stored.shape[1:]), math.prod(self.shape)))

    def _sized(self, images: Tensor) -> Tensor:
        return images if self.side is None else resize(images, self.side, self.resize)
