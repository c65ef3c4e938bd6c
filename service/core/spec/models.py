"""The networks that a spec can select by name."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from service.core.spec.architectures import ARCHITECTURES, TIMM
from service.core.spec.layers import Layers
from service.core.spec.options import option
from service.core.spec.transfer import (
    FREEZE,
    IMAGENET,
    RELEASE,
    THEN_ALL,
    Freeze,
    cached_views_option,
    freeze_option,
    layer_decay_option,
    unfreeze_option,
    weights_option,
)


@dataclass(frozen=True)
class Cnn:
    """Convolution blocks (convolution, norm, ReLU, 2x2 max pooling), then fully connected layers."""

    arch: Literal["cnn"] = option("architecture", "cnn")
    channels: tuple[int, ...] = option(
        "output channels of each block", (32, 64), minimum=1, maximum=4096, length=(1, 16)
    )
    kernel_size: int = option("side of the convolution kernels", 3, minimum=1, maximum=15, unit="pixels")
    hidden: tuple[int, ...] = option(
        "widths of the fully connected hidden layers after the blocks", (128,), minimum=1, maximum=65536, length=(0, 16)
    )
    norm: Literal["none", "batch", "group"] = option("normalization after each convolution", "none")
    weights: str | None = weights_option()
    freeze: Freeze = freeze_option()
    unfreeze_epoch: int = unfreeze_option()
    cached_views: int = cached_views_option()
    layer_decay: float = layer_decay_option()
    whitening: bool = option(
        "begin with a fixed convolution that whitens patches of 2x2 pixels, by their covariance in the training "
        "images, and ReLU (Jordan, 2024). The image loses one pixel on each axis",
        False,
        since=RELEASE,
    )

    def most_blocks(self, side: int) -> int:
        """The number of blocks that images with this shorter side, in pixels, can have: each halves the side."""
        return max(1, side - self.whitening).bit_length() - 1


@dataclass(frozen=True)
class Mlp:
    """Fully connected layers on the flattened image."""

    arch: Literal["mlp"] = option("architecture", "mlp")
    hidden: tuple[int, ...] = option(
        "widths of the hidden layers", (256, 128), minimum=1, maximum=65536, length=(0, 16)
    )
    weights: str | None = weights_option()
    freeze: Freeze = freeze_option()
    unfreeze_epoch: int = unfreeze_option()
    cached_views: int = cached_views_option()
    layer_decay: float = layer_decay_option()


@dataclass(frozen=True)
class Torchvision:
    """A classification network of torchvision or timm, adapted to the channels, size and classes of the images."""

    arch: str = option(
        "architecture, by torchvision's name, or timm/ with timm's name",
        choices=tuple(ARCHITECTURES),
        later={TIMM: RELEASE},
    )
    pretrained: bool = option(
        "start from the best published weights, as with weights imagenet. The last layer starts from random weights",
        False,
    )
    freeze: Freeze = option(FREEZE, "none", later={THEN_ALL: RELEASE})
    weights: str | None = weights_option()
    unfreeze_epoch: int = unfreeze_option()
    cached_views: int = cached_views_option()
    layer_decay: float = layer_decay_option()


TRANSFER = (
    "weights",
    "freeze",
    "unfreeze_epoch",
    "cached_views",
    "layer_decay",
)  # the options of a network that do not change it


def weights_of(model: "Model") -> str | None:
    """The weights that a network starts from: of an upload or a job by its id, or `imagenet`; None: random ones."""
    if isinstance(model, Torchvision) and model.pretrained:
        return IMAGENET
    return model.weights


def is_frozen(model: "Model", epoch: int) -> bool:
    """Whether this epoch, counted from 1, trains the last layer only."""
    return model.freeze == "backbone" or (model.freeze == THEN_ALL and epoch < model.unfreeze_epoch)


def is_same_network(one: "Model", other: "Model") -> bool:
    """Whether two networks have the same layers, but for the channels of the images and the number of classes."""
    if isinstance(one, Torchvision) or isinstance(other, Torchvision):
        return one.arch == other.arch
    return _layers(one) == _layers(other)


def _layers(model: "Model") -> dict[str, Any]:
    """The options of a network that say what its layers are."""
    return {f.name: getattr(model, f.name) for f in fields(model) if f.name not in TRANSFER}


Model = Cnn | Mlp | Layers | Torchvision
