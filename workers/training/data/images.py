"""A labelled set of images as tensors."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """images uint8 [N, C, H, W] with values from 0 to 255, labels int64 [N] from 0 to len(classes) - 1."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device) -> "ImageSet":
        return ImageSet(self.images.to(device), self.labels.to(device), self.classes)

    def digest(self) -> str:
        """SHA-256 of all pixels and labels."""
        sha = hashlib.sha256(self.images.numpy().tobytes())
        sha.update(self.labels.numpy().tobytes())
        return sha.hexdigest()
