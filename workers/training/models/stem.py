"""The first convolution of a network made for color images, fitted to images of any number of channels."""

import math

import torch
from torch import Tensor, nn

COLORS = 3  # channels that torchvision's networks are made for


def fit_channels(model: nn.Module, channels: int, *, pretrained: bool) -> None:
    """Let the first convolution take `channels` channels, in place; nothing is done where it does already.

    Pretrained kernels [O, 3, k, k] are carried over as Wightman's timm does (2019), after Carreira and Zisserman, "Quo
    Vadis, Action Recognition?" (2017): summed over the colors for one channel, so that a gray image gives exactly what
    it gave as three equal channels; else repeated in the order R G B R ... and multiplied by 3 / C, which keeps the
    output where the channels are alike.

    Fresh kernels are drawn again from the global generator: normal, with the standard deviation of the network's own
    initialization times sqrt(3 / C), which keeps the output's variance. Networks that scale by fan-in get just what
    they would draw for C channels; in the others a normalization follows, or (vgg) the activations keep their scale.
    """
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    if channels == first.in_channels:
        return
    with torch.no_grad():
        kernels = _carried_over(first.weight, channels) if pretrained else _drawn_again(first.weight, channels)
    first.weight = nn.Parameter(kernels)
    first.in_channels = channels


def _carried_over(kernels: Tensor, channels: int) -> Tensor:
    if channels == 1:
        return kernels.sum(1, keepdim=True)
    repeats = -(-channels // COLORS)
    return kernels.repeat(1, repeats, 1, 1)[:, :channels] * (COLORS / channels)


def _drawn_again(kernels: Tensor, channels: int) -> Tensor:
    shape = (kernels.shape[0], channels, *kernels.shape[2:])
    return torch.randn(shape, device=kernels.device) * kernels.std() * math.sqrt(COLORS / channels)
