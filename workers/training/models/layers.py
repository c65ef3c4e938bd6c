"""The torch modules of a network of layers, from their shapes (service.core.spec.shapes)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from service.core.spec.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GroupNorm,
    Linear,
    MaxPool2d,
    Relu,
    Residual,
    Scale,
    Whitening,
)
from service.core.spec.shapes import IMAGE_RANK, Placed
from workers.training.models import whitening
from workers.training.models.pointwise import convolution
from workers.training.regularization import dropout

FROM_OPTIONS: dict[type, Callable[[Any], nn.Module]] = {
    Relu: lambda layer: nn.ReLU(),
    Gelu: lambda layer: nn.GELU(),
    Flatten: lambda layer: nn.Flatten(),
    GlobalAvgPool: lambda layer: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    MaxPool2d: lambda layer: nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding),
    AvgPool2d: lambda layer: nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding),
    Dropout: lambda layer: dropout.Dropout(layer.p),
    Dropout2d: lambda layer: nn.Dropout2d(layer.p),
    Scale: lambda layer: Scaled(layer.factor),
}


def build_layers(placed: Sequence[Placed], stochastic_depth: float) -> nn.Sequential:
    """A network from images [N, C, H, W] to logits [N, classes].

    `stochastic_depth` p (Huang et al., 2016) is the probability of skipping the last of L residual branches. The l-th
    branch is skipped with probability p * l / L.
    """
    branches = sum(isinstance(p.layer, Residual) for p in placed)
    rates = iter([stochastic_depth * number / branches for number in range(1, branches + 1)])
    return nn.Sequential(*_modules(placed, rates))


def _modules(placed: Sequence[Placed], rates: Iterator[float]) -> Iterator[nn.Module]:
    for p in placed:
        yield ResidualBlock(p, next(rates)) if isinstance(p.layer, Residual) else _plain(p)


class ResidualBlock(nn.Module):
    """shortcut(x) + branch(x). In training the branch is skipped with probability `skip`, for each image separately."""

    def __init__(self, placed: Placed, skip: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(*(_plain(p) for p in placed.inner))
        self.shortcut = _shortcut(placed)
        self.skip = StochasticDepth(skip, "row") if skip else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.shortcut(x), self.skip(self.branch(x)))


class Scaled(nn.Module):
    """factor * x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def _shortcut(placed: Placed) -> nn.Module:
    if placed.shortcut is None:
        return nn.Identity()
    inputs, outputs, stride = placed.input[0], placed.output[0], placed.shortcut.stride
    if stride is None:
        return nn.Linear(inputs, outputs, bias=False)
    return convolution(inputs, outputs, 1, stride, 0, bias=False)


def _plain(placed: Placed) -> nn.Module:
    layer, inputs, images = placed.layer, placed.input[0], len(placed.input) == IMAGE_RANK
    if type(layer) in FROM_OPTIONS:
        return FROM_OPTIONS[type(layer)](layer)
    match layer:
        case Conv2d():
            return _convolution(layer, inputs)
        case Linear():
            return nn.Linear(inputs, placed.output[0], bias=layer.bias)
        case BatchNorm():
            kind = nn.BatchNorm2d if images else nn.BatchNorm1d
            return kind(inputs, momentum=layer.momentum)
        case GroupNorm():
            return nn.GroupNorm(layer.groups, inputs)
        case Whitening():
            return whitening.Whitening(inputs, layer.kernel_size)
    raise TypeError(f"no module for {layer}")


def _convolution(layer: Conv2d, inputs: int) -> nn.Module:
    before, after = (layer.kernel_size - 1) // 2, layer.kernel_size // 2  # these zeros keep the size at stride 1
    is_asymmetric = layer.padding is None and before != after  # an even kernel has no centre
    padding = 0 if is_asymmetric else before if layer.padding is None else layer.padding
    convolves = convolution(
        inputs, layer.channels, layer.kernel_size, layer.stride, padding, groups=layer.groups, bias=layer.bias
    )
    if not is_asymmetric:
        return convolves
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), convolves)
