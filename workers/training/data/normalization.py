"""Normalization by the statistics of the training images."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_STD = 1e-6  # a channel with a smaller standard deviation counts as constant


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel, float32 [C], for pixels scaled to 0 to 1."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, chunks: Iterable[Tensor]) -> "Normalization":
        """The statistics of chunks of uint8 images [B, C, H, W]. The sums are integers, so the chunks do not matter.

        A constant channel has std 1.
        """
        total = squares = torch.zeros((), dtype=torch.int64)
        count = 0
        for images in chunks:
            total = total + images.sum((0, 2, 3), dtype=torch.int64)
            squares = squares + images.int().square_().sum((0, 2, 3), dtype=torch.int64)
            count += images.numel() // images.shape[1]
        mean = total.double() / (255 * count)
        std = (squares.double() / (255**2 * count) - mean.square()).clamp(min=0).sqrt()
        return cls(mean.float(), torch.where(std < LEAST_STD, 1.0, std).float())

    @classmethod
    def none(cls, channels: int) -> "Normalization":
        """No normalization: pixels from 0 to 1."""
        return cls(torch.zeros(channels), torch.ones(channels))

    def scale_and_shift(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """(scale, shift), float32 [1, C, 1, 1]: scale * pixel + shift is the normalized value of a uint8 pixel."""
        scale, shift = 1 / (255 * self.std), -self.mean / self.std
        return scale.view(1, -1, 1, 1).to(device), shift.view(1, -1, 1, 1).to(device)
