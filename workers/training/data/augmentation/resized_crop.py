"""Random crops of random size and shape, resized to the size of the image.

Szegedy et al., "Going Deeper with Convolutions" (2015), section 6: an area share from `least_share` to 1, and a ratio
of width to height from 3/4 to 4/3.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.training.data.augmentation.draws import uniform

LARGEST_RATIO = 4 / 3


def random_resized_crop(images: Tensor, least_share: float, random: torch.Generator) -> Tensor:
    """Crop each uint8 image of [N, C, H, W] at random, and resize the crop to H x W: bilinear, without antialiasing.

    0 < least_share <= 1. The share of the area is uniform, the ratio log-uniform, and every place has the same
    probability. A crop that is longer than the image is cut to its length.
    """
    n, _, height, width = images.shape
    shares = uniform((n,), least_share, 1.0, random, images.device)
    stretches = uniform((n,), -0.5, 0.5, random, images.device).mul_(math.log(LARGEST_RATIO)).exp_()
    sides = (shares * height * width).sqrt_()
    rows = (sides / stretches).round_().clamp_(1, height)
    columns = (sides * stretches).round_().clamp_(1, width)
    places = uniform((2, n), 0.0, 1.0, random, images.device)
    tops, lefts = (places[0] * (height - rows + 1)).floor_(), (places[1] * (width - columns + 1)).floor_()
    return resized_crop(images, torch.stack([tops, lefts, rows, columns], 1))


def resized_crop(images: Tensor, boxes: Tensor) -> Tensor:
    """Crop uint8 images [N, C, H, W] by boxes float32 [N, 4] of whole pixels (top, left, height, width), and resize."""
    tops, lefts, rows, columns = boxes.unbind(1)
    y, x = _positions(tops, rows, images.shape[2]), _positions(lefts, columns, images.shape[3])
    height, width = images.shape[2:]
    grid = torch.stack([x[:, None].expand(-1, height, -1), y[..., None].expand(-1, -1, width)], 3)  # [N, H, W, 2]
    sampled = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.round_().to(torch.uint8)


def _positions(first: Tensor, length: Tensor, size: int) -> Tensor:
    """[N, size]: where the `size` pixels of the result lie in the crop, in grid_sample's coordinates from -1 to 1."""
    centres = (torch.arange(size, device=first.device) + 0.5) * (length / size)[:, None] - 0.5
    within = centres.clamp_(min=0).minimum((length - 1)[:, None])  # no pixel from outside of the crop
    return (2 * (within + first[:, None]) + 1) / size - 1
