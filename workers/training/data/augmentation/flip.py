"""Mirror images, at random or in turn.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 4.1.
Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024), section 3.6: the alternating flip.
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import chances
from workers.training.data.augmentation.layout import select

ROWS, COLUMNS = 2, 3  # dimensions of images [N, C, H, W]
KNUTH, HIGH = 2_654_435_761, 31  # about 2^32 divided by the golden ratio; the bit on which all lower ones act


def horizontal_flip(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror each image of [N, C, H, W] left to right with probability one half. Keeps the memory format."""
    return _mirrored(images, COLUMNS, random)


def vertical_flip(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror each image of [N, C, H, W] top to bottom with probability one half. Keeps the memory format."""
    return _mirrored(images, ROWS, random)


def alternating_flip(images: Tensor, epoch: int) -> Tensor:
    """Mirror each image of [N, C, H, W] left to right in every second epoch. Keeps the memory format.

    A hash of the pixels says in which ones, so that about half of the images are mirrored in each epoch. It is that of
    Knuth (The Art of Computer Programming 3, section 6.4): a bit of the product of their sum with a large odd number.
    """
    total = images.sum((1, 2, 3), dtype=torch.int64)
    bit = (total * KNUTH >> HIGH) & 1
    return _where_mirrored(images, COLUMNS, (bit + epoch) % 2 == 0)


def _mirrored(images: Tensor, dimension: int, random: torch.Generator) -> Tensor:
    return _where_mirrored(images, dimension, chances((len(images),), 0.5, random, images.device))


def _where_mirrored(images: Tensor, dimension: int, mirrored: Tensor) -> Tensor:
    n = len(images)
    both = torch.cat([images, images.flip(dimension)])
    return select(both, torch.arange(n, device=images.device) + n * mirrored)
