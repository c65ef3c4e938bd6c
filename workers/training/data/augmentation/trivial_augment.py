"""TrivialAugment: one random operation of random strength for each image, without parameters.

Mueller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation" (2021).
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, integers
from workers.training.data.augmentation.operations import OPERATIONS, apply
from workers.training.data.augmentation.space import BINS, Space, in_a_random_direction

WIDE = Space(shear=0.99, translate_x=32, translate_y=32, rotate=135, tone=0.99, posterize=2)


def trivial_augment(images: Tensor, random: torch.Generator) -> Tensor:
    """Apply to each uint8 image of [N, C, H, W] an operation with a strength of the wide space, both uniform.

    Translation is up to 32 pixels for any size, as in torchvision, so a small image can leave the frame.
    """
    n = len(images)
    operations = integers((n,), 0, len(OPERATIONS), random, CPU)
    strengths = WIDE.magnitudes()[operations, integers((n,), 0, BINS, random, CPU)]
    return apply(images, operations, in_a_random_direction(strengths, operations, random))
