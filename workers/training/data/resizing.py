"""Resizing of images to the input of a network, by the function that predictions use."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from service.core.images import SQUARE, resized


def resize(images: Tensor, side: int, way: str = SQUARE) -> Tensor:
    """uint8 [B, C, side, side], channels last, of images uint8 [B, C, H, W] with 1 or 3 channels on the CPU.

    `way` is a value of dataset.resize.
    """
    batch, channels = images.shape[:2]
    target = np.empty((batch, side, side, channels), np.uint8)
    for image, pixels in zip(target, images.permute(0, 2, 3, 1).contiguous().numpy(), strict=True):
        image[:] = resize_one(pixels, side, way)
    return torch.from_numpy(target).permute(0, 3, 1, 2)


def resize_one(pixels: NDArray[np.uint8], side: int, way: str = SQUARE) -> NDArray[np.uint8]:
    """[side, side, C] of an image [H, W, C]."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(resized(picture, side, side, way)).reshape(side, side, -1)
