"""RandAugment: a fixed number of random operations on each image, all with the same strength.

Cubuk, Zoph, Shlens and Le, "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space" (2020).
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, integers
from workers.training.data.augmentation.operations import OPERATIONS, apply
from workers.training.data.augmentation.space import Space, in_a_random_direction

TRANSLATION = 150 / 331  # of the image's side


def rand_augment(images: Tensor, operations: int, magnitude: int, random: torch.Generator) -> Tensor:
    """Apply `operations` >= 0 random operations, drawn with replacement, to each uint8 image of [N, C, H, W].

    `magnitude` is a bin from 0 (almost no change) to 30.
    """
    strengths = space(images.shape[2], images.shape[3]).magnitudes()[:, magnitude]
    for _ in range(operations):
        drawn = integers((len(images),), 0, len(OPERATIONS), random, CPU)
        images = apply(images, drawn, in_a_random_direction(strengths[drawn], drawn, random))
    return images


def space(height: int, width: int) -> Space:
    """The magnitudes of RandAugment, in which translation is in proportion to the size of the image in pixels."""
    across, down = TRANSLATION * width, TRANSLATION * height
    return Space(shear=0.3, translate_x=across, translate_y=down, rotate=30, tone=0.9, posterize=4)
