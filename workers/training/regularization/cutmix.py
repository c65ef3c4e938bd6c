"""CutMix: training on images with a rectangle pasted from another image.

Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features" (2019).
"""

import math

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, integers
from workers.training.data.augmentation.layout import select


def cutmix(images: Tensor, mixing: float, permutation: Tensor, random: torch.Generator) -> tuple[Tensor, float]:
    """(mixed images, share of the pixels that each image keeps). All images get the same box of images[permutation].

    The box has sqrt(1 - mixing) of the height and of the width. Its centre is uniform over the pixels. The borders clip
    it, so the share can be above `mixing`. images [N, C, H, W], permutation int64 [N] on the same device, mixing from 0
    to 1, `random` a CPU generator.
    """
    height, width = images.shape[2:]
    side = math.sqrt(1 - mixing)
    rows, columns = _span(height, side, random), _span(width, side, random)
    mixed = images.clone()
    mixed[:, :, rows, columns] = select(images, permutation)[:, :, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, 1 - pasted / (height * width)


def _span(size: int, share: float, random: torch.Generator) -> slice:
    """A range of `share` * `size` positions about a random centre, clipped to 0 ... size - 1."""
    length = round(size * share)
    start = int(integers((), 0, size, random, CPU)) - length // 2
    return slice(max(start, 0), min(start + length, size))
