"""The layers of a network that is written as data. Shapes are without the batch: images [C, H, W], features [F]."""

from dataclasses import dataclass
from typing import Literal

from service.core.spec.options import option
from service.core.spec.transfer import (
    RELEASE,
    Freeze,
    cached_views_option,
    freeze_option,
    layer_decay_option,
    unfreeze_option,
    weights_option,
)

WIDEST = 65_536
LARGEST_KERNEL = 31
MOST_LAYERS = 256


@dataclass(frozen=True)
class Conv2d:
    """Convolution, images to images."""

    channels: int = option("number of output channels", minimum=1, maximum=WIDEST)
    type: Literal["conv2d"] = option("layer type", "conv2d")
    kernel_size: int = option("side of the kernels", 3, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    stride: int = option("step of the kernels", 1, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    padding: int | None = option(
        "width of the zeros around the image; null: as wide as keeps the size at stride 1",
        None,
        minimum=0,
        maximum=LARGEST_KERNEL,
        unit="pixels",
    )
    groups: int = option("number of groups of channels that are convolved separately", 1, minimum=1, maximum=WIDEST)
    bias: bool = option("add a bias to each channel", True)


@dataclass(frozen=True)
class Linear:
    """Fully connected layer, features to features."""

    type: Literal["linear"] = option("layer type", "linear")
    features: int | None = option(
        "number of output features; null: one for each class of the data set", None, minimum=1, maximum=WIDEST
    )
    bias: bool = option("add a bias to each feature", True)


@dataclass(frozen=True)
class Relu:
    """Rectified linear unit: max(x, 0)."""

    type: Literal["relu"] = option("layer type", "relu")


@dataclass(frozen=True)
class Gelu:
    """Gaussian error linear unit: x times the normal distribution function of x (Hendrycks and Gimpel, 2016)."""

    type: Literal["gelu"] = option("layer type", "gelu")


@dataclass(frozen=True)
class MaxPool2d:
    """The largest value of each window, images to images."""

    type: Literal["max_pool2d"] = option("layer type", "max_pool2d")
    kernel_size: int = option("side of the windows", 2, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    stride: int | None = option(
        "step of the windows; null: the side of the windows", None, minimum=1, maximum=LARGEST_KERNEL, unit="pixels"
    )
    padding: int = option(
        "width of the border around the image, at most half a window",
        0,
        minimum=0,
        maximum=LARGEST_KERNEL,
        unit="pixels",
    )


@dataclass(frozen=True)
class AvgPool2d:
    """The mean of each window, images to images."""

    type: Literal["avg_pool2d"] = option("layer type", "avg_pool2d")
    kernel_size: int = option("side of the windows", 2, minimum=1, maximum=LARGEST_KERNEL, unit="pixels")
    stride: int | None = option(
        "step of the windows; null: the side of the windows", None, minimum=1, maximum=LARGEST_KERNEL, unit="pixels"
    )
    padding: int = option(
        "width of the zeros around the image, at most half a window",
        0,
        minimum=0,
        maximum=LARGEST_KERNEL,
        unit="pixels",
    )


@dataclass(frozen=True)
class GlobalAvgPool:
    """The mean of each channel, images [C, H, W] to features [C] (Lin et al., 2014)."""

    type: Literal["global_avg_pool"] = option("layer type", "global_avg_pool")


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization of each channel or feature (Ioffe and Szegedy, 2015)."""

    type: Literal["batch_norm"] = option("layer type", "batch_norm")
    momentum: float = option(
        "share of each batch in the running statistics that scores use. More suits runs of few steps",
        0.1,
        minimum=0,
        maximum=1,
        open_below=True,
        since=RELEASE,
    )


@dataclass(frozen=True)
class GroupNorm:
    """Normalization of each image over groups of channels (Wu and He, 2018)."""

    type: Literal["group_norm"] = option("layer type", "group_norm")
    groups: int = option("number of groups, a divisor of the number of channels", 8, minimum=1, maximum=WIDEST)


@dataclass(frozen=True)
class Dropout:
    """Zeroes single values (Srivastava et al., 2014)."""

    type: Literal["dropout"] = option("layer type", "dropout")
    p: float = option("probability of setting a value to 0", 0.5, minimum=0, maximum=1, open_above=True)


@dataclass(frozen=True)
class Dropout2d:
    """Zeroes whole channels of an image (Tompson et al., 2015)."""

    type: Literal["dropout2d"] = option("layer type", "dropout2d")
    p: float = option("probability of setting a channel to 0", 0.5, minimum=0, maximum=1, open_above=True)


@dataclass(frozen=True)
class Scale:
    """Multiplies all values by a fixed factor. A factor below 1 before the loss gives soft logits (Jordan, 2024)."""

    factor: float = option("factor", minimum=0, maximum=1000, open_below=True)
    type: Literal["scale"] = option("layer type", "scale", later={"scale": RELEASE})


@dataclass(frozen=True)
class Flatten:
    """Images [C, H, W] to features [C * H * W]."""

    type: Literal["flatten"] = option("layer type", "flatten")


Pooling = MaxPool2d | AvgPool2d | GlobalAvgPool
Normalizing = BatchNorm | GroupNorm
PlainLayer = Conv2d | Linear | Relu | Gelu | Pooling | Normalizing | Dropout | Dropout2d | Flatten | Scale


@dataclass(frozen=True)
class Whitening:
    """Fixed convolution as the first layer, which makes the values of small patches uncorrelated.

    Its kernels are the eigenvectors of the covariance of patches of the training images, scaled to the same variance,
    and their negatives (Jordan, 2024): 2 * C * kernel_size^2 output channels for C channels of the images, without
    padding. Only its bias is trained.
    """

    type: Literal["whitening"] = option("layer type", "whitening", later={"whitening": RELEASE})
    kernel_size: int = option("side of the patches", 2, minimum=1, maximum=7, unit="pixels")


@dataclass(frozen=True)
class Residual:
    """Inner layers whose output is added to their input (He et al., 2016).

    If the inner layers change the shape, a 1x1 convolution without bias (a linear layer for features) brings the input
    to the new shape before the sum.
    """

    layers: tuple[PlainLayer, ...] = option("inner layers in order; none of them is residual", length=(1, 64))
    type: Literal["residual"] = option("layer type", "residual")


Layer = PlainLayer | Residual | Whitening


@dataclass(frozen=True)
class Layers:
    """A network of your own, as data: one layer after another, from the image to one output for each class."""

    layers: tuple[Layer, ...] = option("layers in order", length=(1, MOST_LAYERS))
    arch: Literal["layers"] = option("architecture", "layers")
    weights: str | None = weights_option()
    freeze: Freeze = freeze_option()
    unfreeze_epoch: int = unfreeze_option()
    cached_views: int = cached_views_option()
    layer_decay: float = layer_decay_option()
