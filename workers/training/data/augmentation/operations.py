"""The operations of TrivialAugment and RandAugment, and applying a different one to each image of a batch."""

from collections.abc import Callable

import torch
from torch import Tensor

from workers.training.data.augmentation import tones
from workers.training.data.augmentation.draws import send
from workers.training.data.augmentation.warp import rotations, warp

Operation = Callable[[Tensor, Tensor], Tensor]  # uint8 [N, C, H, W] and float32 [N] -> uint8 [N, C, H, W]


def identity(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Return the images unchanged. The magnitude is unused."""
    return images


def shear_x(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Move each row to the left by the magnitude (pixels per pixel) times its distance from the top."""
    return _affine(images, along_x=(1, magnitudes, magnitudes * (images.shape[2] / 2)), along_y=(0, 1, 0))


def shear_y(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Move each column up by the magnitude (pixels per pixel) times its distance from the left."""
    return _affine(images, along_x=(1, 0, 0), along_y=(magnitudes, 1, magnitudes * (images.shape[3] / 2)))


def translate_x(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Move to the right by the magnitude in pixels, truncated to a whole number."""
    return _affine(images, along_x=(1, 0, -magnitudes.trunc()), along_y=(0, 1, 0))


def translate_y(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Move down by the magnitude in pixels, truncated to a whole number."""
    return _affine(images, along_x=(1, 0, 0), along_y=(0, 1, -magnitudes.trunc()))


def rotate(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Rotate counter-clockwise about the centre by the magnitude in degrees."""
    return warp(images, rotations(magnitudes), "nearest")


OPERATIONS: dict[str, Operation] = {
    "identity": identity,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
    "brightness": tones.brightness,
    "color": tones.color,
    "contrast": tones.contrast,
    "sharpness": tones.sharpness,
    "posterize": tones.posterize,
    "solarize": tones.solarize,
    "autocontrast": tones.autocontrast,
    "equalize": tones.equalize,
}


def apply(images: Tensor, operations: Tensor, magnitudes: Tensor) -> Tensor:
    """Apply to image i of [N, C, H, W] the operation with the number operations[i], in the order of OPERATIONS.

    operations int64 [N] and magnitudes float32 [N] are on the CPU, so that the sizes of the groups are known without
    synchronizing with the device. All images with the same operation are processed together.
    """
    order = operations.argsort()
    sizes = operations.bincount(minlength=len(OPERATIONS)).tolist()
    groups = torch.split(images.contiguous().index_select(0, send(order, images.device)), sizes)
    strengths = torch.split(send(magnitudes[order], images.device), sizes)
    grouped = zip(OPERATIONS.values(), groups, strengths, strict=True)
    results = [operation(group, strength) for operation, group, strength in grouped if len(group)]
    return torch.cat(results).index_select(0, send(order.argsort(), images.device))


def _affine(images: Tensor, along_x: tuple[Tensor | int, ...], along_y: tuple[Tensor | int, ...]) -> Tensor:
    """`warp` by the matrices with these two rows. An entry is a number for all images, or a tensor [N]."""
    matrices = torch.zeros(len(images), 2, 3, device=images.device)
    for row, values in enumerate((along_x, along_y)):
        for column, value in enumerate(values):
            matrices[:, row, column] = value
    return warp(images, matrices, "nearest")
