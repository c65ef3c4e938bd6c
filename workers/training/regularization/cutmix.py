"""CutMix: training on images with a rectangle from another one.

Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features" (2019).
"""

import math

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, integers
from workers.training.data.augmentation.layout import select


def cutmix(images: Tensor, mixing: float, permutation: Tensor, random: torch.Generator) -> tuple[Tensor, float]:
    """(mixed images, the share of each that is its own): one box, the same in all, comes from images[permutation].

    The box has sqrt(1 - mixing) of the height and of the width, and a centre that is uniform over the pixels. It is cut
    off at the borders, so the share can be above `mixing`. images [N, C, H, W], permutation int64 [N] on the same
    device, mixing from 0 to 1.
    """
    height, width = images.shape[2:]
    side = math.sqrt(1 - mixing)
    rows, columns = _span(height, side, random), _span(width, side, random)
    mixed = images.clone()
    mixed[:, :, rows, columns] = select(images, permutation)[:, :, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, 1 - pasted / (height * width)


def _span(size: int, share: float, random: torch.Generator) -> slice:
    """`share` of 0 ... size - 1 about a random centre, without what is outside."""
    length = round(size * share)
    start = int(integers((), 0, size, random, CPU)) - length // 2
    return slice(max(start, 0), min(start + length, size))
