"""The networks that a spec can name."""

from dataclasses import dataclass
from typing import Literal

from service.core.spec.architectures import ARCHITECTURES
from service.core.spec.layers import Layers
from service.core.spec.options import option


@dataclass(frozen=True)
class Cnn:
    """Convolution blocks (convolution, norm, ReLU, 2x2 max pooling), then fully connected layers."""

    arch: Literal["cnn"] = option("the architecture", "cnn")
    channels: tuple[int, ...] = option(
        "output channels of each block", (32, 64), minimum=1, maximum=4096, length=(1, 16)
    )
    kernel_size: int = option("side of the convolution kernels", 3, minimum=1, maximum=15, unit="pixels")
    hidden: tuple[int, ...] = option(
        "widths of the hidden layers after the blocks", (128,), minimum=1, maximum=65536, length=(0, 16)
    )
    norm: Literal["none", "batch", "group"] = option("normalization after each convolution", "none")


@dataclass(frozen=True)
class Mlp:
    """Fully connected layers on the flattened image."""

    arch: Literal["mlp"] = option("the architecture", "mlp")
    hidden: tuple[int, ...] = option(
        "widths of the hidden layers", (256, 128), minimum=1, maximum=65536, length=(0, 16)
    )


@dataclass(frozen=True)
class Torchvision:
    """A classification network of torchvision by its builder's name, fitted to the images' channels and size."""

    arch: str = option("the architecture", choices=tuple(ARCHITECTURES))
    pretrained: bool = option("start from torchvision's best published weights, but for the classifier", False)
    freeze: Literal["none", "backbone"] = option(
        "backbone: train the classifier alone, on fixed features (the trunk stays in eval mode)", "none"
    )


Model = Cnn | Mlp | Layers | Torchvision
