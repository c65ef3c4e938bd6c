"""Random rotations.

Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis"
(2003), section 2.
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import uniform
from workers.training.data.augmentation.warp import rotations, warp


def rotate(images: Tensor, degrees: float, random: torch.Generator) -> Tensor:
    """Rotate each uint8 image of [N, C, H, W] about its centre by an angle that is uniform in [-degrees, degrees].

    0 <= degrees <= 180. Bilinear; pixels from outside the image are 0.
    """
    return rotate_by(images, uniform((len(images),), -degrees, degrees, random, images.device))


def rotate_by(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotate image i of uint8 [N, C, H, W] counter-clockwise by degrees[i], float32 [N]."""
    return warp(images, rotations(degrees), "bilinear")
