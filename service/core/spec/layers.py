"""The layers of a network that is written as data. Images are [C, H, W], features are [F]; the batch is not counted."""

from dataclasses import dataclass
from typing import Literal

from service.core.spec.options import option

WIDEST = 65_536
LARGEST_KERNEL = 31
MOST_LAYERS = 256


@dataclass(frozen=True)
class Conv2d:
    """Convolution, images to images."""

    channels: int = option("output channels", minimum=1, maximum=WIDEST)
    type: Literal["conv2d"] = option("the layer", "conv2d")
    kernel_size: int = option("side of the kernels", 3, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    stride: int = option("step of the kernels", 1, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    padding: int | None = option(
        "zeros on each side; null: as many as keep the size at stride 1", None,
        minimum=0, maximum=LARGEST_KERNEL, unit="pixels",
    )  # fmt: skip
    groups: int = option("groups of channels that see only each other", 1, minimum=1, maximum=WIDEST)
    bias: bool = option("add a bias to each channel", True)


@dataclass(frozen=True)
class Linear:
    """Fully connected layer, features to features."""

    type: Literal["linear"] = option("the layer", "linear")
    features: int | None = option(
        "output features; null: one for each class of the data set", None, minimum=1, maximum=WIDEST
    )
    bias: bool = option("add a bias to each feature", True)


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""

    type: Literal["relu"] = option("the layer", "relu")


@dataclass(frozen=True)
class Gelu:
    """x times the normal distribution function of x (Hendrycks and Gimpel, 2016)."""

    type: Literal["gelu"] = option("the layer", "gelu")


@dataclass(frozen=True)
class MaxPool2d:
    """The largest value of each window, images to images."""

    type: Literal["max_pool2d"] = option("the layer", "max_pool2d")
    kernel_size: int = option("side of the windows", 2, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    stride: int | None = option(
        "step of the windows; null: their side", None, minimum=1, maximum=LARGEST_KERNEL, unit="pixels"
    )
    padding: int = option(
        "border on each side, at most half a window", 0, minimum=0, maximum=LARGEST_KERNEL, unit="pixels"
    )


@dataclass(frozen=True)
class AvgPool2d:
    """The mean of each window, images to images."""

    type: Literal["avg_pool2d"] = option("the layer", "avg_pool2d")
    kernel_size: int = option("side of the windows", 2, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    stride: int | None = option(
        "step of the windows; null: their side", None, minimum=1, maximum=LARGEST_KERNEL, unit="pixels"
    )
    padding: int = option(
        "zeros on each side, at most half a window", 0, minimum=0, maximum=LARGEST_KERNEL, unit="pixels"
    )


@dataclass(frozen=True)
class GlobalAvgPool:
    """The mean of each channel, images [C, H, W] to features [C] (Lin et al., 2014)."""

    type: Literal["global_avg_pool"] = option("the layer", "global_avg_pool")


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization of each channel or feature (Ioffe and Szegedy, 2015)."""

    type: Literal["batch_norm"] = option("the layer", "batch_norm")


@dataclass(frozen=True)
class GroupNorm:
    """Normalization of each image over groups of channels (Wu and He, 2018)."""

    type: Literal["group_norm"] = option("the layer", "group_norm")
    groups: int = option("groups; the channels must divide by them", 8, minimum=1, maximum=WIDEST)


@dataclass(frozen=True)
class Dropout:
    """Zeroes single values (Srivastava et al., 2014)."""

    type: Literal["dropout"] = option("the layer", "dropout")
    p: float = option("probability of a value to be dropped", 0.5, minimum=0, maximum=1, open_above=True)


@dataclass(frozen=True)
class Dropout2d:
    """Zeroes whole channels of an image (Tompson et al., 2015)."""

    type: Literal["dropout2d"] = option("the layer", "dropout2d")
    p: float = option("probability of a channel to be dropped", 0.5, minimum=0, maximum=1, open_above=True)


@dataclass(frozen=True)
class Flatten:
    """Images [C, H, W] to features [C * H * W]."""

    type: Literal["flatten"] = option("the layer", "flatten")


PlainLayer = (
    Conv2d | Linear | Relu | Gelu | MaxPool2d | AvgPool2d | GlobalAvgPool | BatchNorm | GroupNorm | Dropout | Dropout2d
    | Flatten
)  # fmt: skip


@dataclass(frozen=True)
class Residual:
    """Inner layers whose output is added to their input (He et al., 2016).

    Where the inner layers change the shape, the input goes through a 1x1 convolution (a linear layer for features)
    without bias on its way to the sum.
    """

    layers: tuple[PlainLayer, ...] = option("the inner layers, residual ones excepted", length=(1, 64))
    type: Literal["residual"] = option("the layer", "residual")


Layer = PlainLayer | Residual


@dataclass(frozen=True)
class Layers:
    """A network of your own, as data: one layer after another, from the image to one output for each class."""

    layers: tuple[Layer, ...] = option("the layers in order", length=(1, MOST_LAYERS))
    arch: Literal["layers"] = option("the architecture", "layers")
