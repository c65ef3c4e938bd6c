"""Random mirror images.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 4.1.
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import chances
from workers.training.data.augmentation.layout import select


def horizontal_flip(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror each image of [N, C, H, W] left to right with probability one half. Keeps the memory format."""
    n = len(images)
    mirrored = chances((n,), 0.5, random, images.device)
    both = torch.cat([images, images.flip(3)])
    return select(both, torch.arange(n, device=images.device) + n * mirrored)
