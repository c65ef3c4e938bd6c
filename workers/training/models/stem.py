"""Adapting the first convolution of a network for color images to any number of channels."""

import math

import torch
from torch import Tensor, nn

COLORS = 3  # input channels of the networks of torchvision and timm


def fit_channels(model: nn.Module, channels: int, *, pretrained: bool) -> None:
    """Give the first convolution `channels` input channels C, in place. With C already right nothing changes.

    Pretrained kernels [O, 3, k, k] are converted as in Wightman's timm (2019), after Carreira and Zisserman, "Quo
    Vadis, Action Recognition?" (2017). For one channel they are summed over the colors: a gray image gives the same
    output as three equal channels. For others they are repeated in the order R G B R ... and multiplied by 3 / C, which
    keeps the output for equal channels.

    Fresh kernels are drawn again from the global generator: normal, with the standard deviation of the network's own
    initialization times sqrt(3 / C), which keeps the variance of the output. For networks that scale by fan-in this is
    their own initialization for C channels. In others a normalization follows, or (vgg) activations keep their scale.
    """
    stem = first_convolution(model)
    if stem is None or channels == stem[1].in_channels:
        return
    first = stem[1]
    with torch.no_grad():
        kernels = converted(first.weight, channels) if pretrained else _drawn_again(first.weight, channels)
    first.weight = nn.Parameter(kernels)
    first.in_channels = channels


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv2d] | None:
    """(name, module) of the first convolution, None in a network without one."""
    return next(((name, each) for name, each in model.named_modules() if isinstance(each, nn.Conv2d)), None)


def converted(kernels: Tensor, channels: int) -> Tensor:
    """Trained kernels [O, D, k, k] for images of C channels, as described at `fit_channels`: [O, C, k, k]."""
    trained = kernels.shape[1]
    if channels == 1:
        return kernels.sum(1, keepdim=True)
    repeats = -(-channels // trained)
    return kernels.repeat(1, repeats, 1, 1)[:, :channels] * (trained / channels)


def _drawn_again(kernels: Tensor, channels: int) -> Tensor:
    shape = (kernels.shape[0], channels, *kernels.shape[2:])
    return torch.randn(shape, device=kernels.device) * kernels.std() * math.sqrt(COLORS / channels)
