"""The operations of the policies that change the values of pixels and not their places, as torchvision defines them.

Each takes uint8 images [N, C, H, W] with any C and one magnitude for each image, float32 [N], and returns new images.
Cubuk, Zoph, Mane, Vasudevan and Le, "AutoAugment: Learning Augmentation Strategies from Data" (2019).
"""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

RGB = 3


def brightness(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Scale the distance from black by 1 + magnitude; magnitude from -1 (black) to 1."""
    return _blend(images, torch.zeros((), device=images.device), magnitudes)


def color(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Scale the distance from the grey image by 1 + magnitude, from -1 (grey) to 1. Without RGB nothing changes."""
    return _blend(images, _grey(images), magnitudes)


def contrast(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Scale the distance from the mean grey value of the image by 1 + magnitude; magnitude from -1 (constant) to 1."""
    return _blend(images, _grey(images).float().mean((1, 2, 3), keepdim=True), magnitudes)


def sharpness(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Scale the distance from the smoothed image by 1 + magnitude, from -1 (smooth) to 1. The border is unchanged.

    The smoothed value is the weighted mean of 3x3 pixels, in which the centre has weight 5 and the others 1.
    """
    floats, inner = images.float(), images[:, :, 1:-1, 1:-1]
    threes = floats[:, :, :-2] + floats[:, :, 1:-1] + floats[:, :, 2:]
    nines = threes[..., :-2] + threes[..., 1:-1] + threes[..., 2:]  # ten times as fast as pooling or a convolution
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _blend(inner, nines.add_(inner, alpha=4).div_(13).round_(), magnitudes)
    return result


def posterize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Keep the highest bits of each value and clear the others. The magnitude is the number of bits, from 0 to 8."""
    masks = torch.bitwise_right_shift(0xFF00, magnitudes.int()).bitwise_and_(0xFF)
    return images & _for_each(masks.to(torch.uint8))


def solarize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Invert the values that are at least 255 * magnitude; magnitude from 0 to 1."""
    return torch.where(images >= _for_each(255 * magnitudes), ~images, images)


def autocontrast(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Stretch each channel to 0 ... 255; a constant channel is unchanged. The magnitude is unused."""
    lowest, highest = images.amin((2, 3), keepdim=True).float(), images.amax((2, 3), keepdim=True).float()
    constant = lowest == highest
    scale = (highest - lowest).mul_(1 / 255).masked_fill_(constant, 1)
    return (images - lowest.masked_fill_(constant, 0)).div_(scale).clamp_(0, 255).to(torch.uint8)


def equalize(images: Tensor, magnitudes: Tensor) -> Tensor:
    """Spread the values of each channel so that all are about equally frequent. The magnitude is unused."""
    equalized: Tensor = transforms.equalize(images)
    return equalized


def _grey(images: Tensor) -> Tensor:
    """uint8 [N, 1, H, W] for RGB images; other images unchanged."""
    grey: Tensor = transforms.rgb_to_grayscale(images) if images.shape[1] == RGB else images
    return grey


def _blend(images: Tensor, other: Tensor, magnitudes: Tensor) -> Tensor:
    """other + (1 + magnitude) * (images - other), clipped to 0 ... 255 and truncated to whole numbers."""
    factors = _for_each((1 + magnitudes.double()).float())
    return (images - other.float()).mul_(factors).add_(other).clamp_(0, 255).to(torch.uint8)


def _for_each(values: Tensor) -> Tensor:
    """[N] -> [N, 1, 1, 1]."""
    return values.view(-1, 1, 1, 1)
