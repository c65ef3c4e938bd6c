"""Random shifts, rotations and mirror images of a whole batch in one resampling."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.benchmarks.fits.rival.config import Config


def augmented(images: Tensor, config: Config) -> Tensor:
    """Each image [N, channels, side, side] changed by a shift, a rotation and a mirror of its own, padded with zeros.

    A shift is a whole number of pixels, so that without a rotation nothing is blurred.
    """
    if not (config.shift or config.rotation or config.mirror):
        return images
    count, side = len(images), images.shape[-1]
    angle = torch.empty(count).uniform_(-1, 1) * math.radians(config.rotation)
    sign = 1 - 2 * torch.randint(2, (count,)) if config.mirror else torch.ones(count)
    shift = torch.randint(-config.shift, config.shift + 1, (2, count)) * (2 / side)  # the grid reaches from -1 to 1
    rows = [angle.cos() * sign, -angle.sin(), shift[0], angle.sin() * sign, angle.cos(), shift[1]]
    theta = torch.stack(rows, dim=1).view(count, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
