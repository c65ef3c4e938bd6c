"""Affine transformations, one for each image of a batch."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def warp(images: Tensor, matrices: Tensor, mode: Literal["nearest", "bilinear"]) -> Tensor:
    """Resample uint8 images [N, C, H, W] by float32 matrices [N, 2, 3].

    A matrix maps a position (x, y, 1) of the result to the position (x, y) in the source image, both in pixels from the
    centre, x to the right and y downwards. Pixels outside the source are 0. Values are rounded.
    """
    height, width = images.shape[2:]
    # grid_sample uses coordinates from -1 to 1. The grid is a sum of two vectors and not a product of matrices, which a
    # GPU may compute in reduced precision.
    x_row, y_row = (2 / width) * matrices[:, 0], (2 / height) * matrices[:, 1]
    to_source = torch.stack([x_row, y_row], 1)[..., None]  # [N, 2, 3, 1]
    along_x = to_source[:, :, 0] * _centred(width, images.device) + to_source[:, :, 2]  # [N, 2, W]
    along_y = to_source[:, :, 1] * _centred(height, images.device)  # [N, 2, H]
    grid = (along_y[..., :, None] + along_x[..., None, :]).permute(0, 2, 3, 1)
    sampled = F.grid_sample(images.float(), grid, mode=mode, padding_mode="zeros", align_corners=False)
    return sampled.round_().to(torch.uint8)


def _centred(size: int, device: torch.device) -> Tensor:
    """Pixel positions from the centre, float32 [size]."""
    return torch.arange(size, device=device) - (size - 1) / 2


def rotations(degrees: Tensor) -> Tensor:
    """float32 matrices [N, 2, 3] for `warp` that rotate images counter-clockwise about the centre by degrees [N]."""
    radians = degrees.double().deg2rad()
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(radians)
    return torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(-1, 2, 3).float()
