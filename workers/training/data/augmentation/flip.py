"""Random mirror images.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 4.1.
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import chances
from workers.training.data.augmentation.layout import select

ROWS, COLUMNS = 2, 3  # dimensions of images [N, C, H, W]


def horizontal_flip(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror each image of [N, C, H, W] left to right with probability one half. Keeps the memory format."""
    return _mirrored(images, COLUMNS, random)


def vertical_flip(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror each image of [N, C, H, W] top to bottom with probability one half. Keeps the memory format."""
    return _mirrored(images, ROWS, random)


def _mirrored(images: Tensor, dimension: int, random: torch.Generator) -> Tensor:
    n = len(images)
    mirrored = chances((n,), 0.5, random, images.device)
    both = torch.cat([images, images.flip(dimension)])
    return select(both, torch.arange(n, device=images.device) + n * mirrored)
