"""From uint8 images on the device to the float batches a model sees."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.training.data.images import ImageSet

LEAST_STD = 1e-6  # below it a channel counts as constant
STATISTICS_BATCH = 4096  # images at a time, so that the statistics of a large set need little memory


@dataclass(frozen=True)
class Normalization:
    """Per-channel mean and standard deviation, float32 [C], on the scale where a pixel is from 0 to 1."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, images: Tensor, indices: Tensor) -> "Normalization":
        """The statistics of uint8 images [N, C, H, W] at the given indices. A constant channel has std 1."""
        total = torch.zeros(images.shape[1], dtype=torch.float64)
        squares = torch.zeros_like(total)
        for chunk in torch.split(indices, STATISTICS_BATCH):
            pixels = images.index_select(0, chunk).double() / 255
            total += pixels.sum((0, 2, 3))
            squares += pixels.square().sum((0, 2, 3))
        count = len(indices) * images.shape[2] * images.shape[3]
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        return cls(mean.float(), torch.where(std < LEAST_STD, 1.0, std).float())

    @classmethod
    def none(cls, channels: int) -> "Normalization":
        """Pixels stay as they are, from 0 to 1."""
        return cls(torch.zeros(channels), torch.ones(channels))

    def to(self, device: torch.device) -> "Normalization":
        return Normalization(self.mean.to(device), self.std.to(device))


class Batches:
    """The images of one part of a split, as model input. Everything is on the device; a batch is an index_select."""

    def __init__(self, data: ImageSet, indices: Tensor, normalization: Normalization) -> None:
        device = data.images.device
        self._data, self._indices = data, indices.to(device)
        normalization = normalization.to(device)
        self._scale = (1 / (255 * normalization.std)).view(1, -1, 1, 1)
        self._shift = (-normalization.mean / normalization.std).view(1, -1, 1, 1)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self._indices)

    @property
    def device(self) -> torch.device:
        return self._data.images.device

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(images float32 [B, C, H, W] channels last, labels int64 [B]); the last batch may be smaller."""
        return self._take(self._indices, batch_size)

    def shuffled(self, batch_size: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The same images, each exactly once, in an order drawn from a CPU generator."""
        permutation = torch.randperm(len(self), generator=order).to(self.device)
        return self._take(self._indices[permutation], batch_size)

    def _take(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for chunk in torch.split(indices, batch_size):
            pixels = self._data.images.index_select(0, chunk).to(memory_format=torch.channels_last)
            yield pixels.float().mul_(self._scale).add_(self._shift), self._data.labels.index_select(0, chunk)
