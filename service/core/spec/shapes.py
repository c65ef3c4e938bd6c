"""The shapes and parameter counts of a network of layers, computed without torch, for planning, checks and building."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.core.errors import Fault, Invalid
from service.core.spec.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout2d,
    Flatten,
    GlobalAvgPool,
    GroupNorm,
    Layer,
    Linear,
    MaxPool2d,
    Residual,
    Whitening,
)

Shape = tuple[int, ...]  # (channels, height, width) of an image, (features,) of features

IMAGE_RANK = 3
FOLLOWS_FROM = ("/model", "/dataset/image_size")  # the options that determine a shape


@dataclass(frozen=True)
class Shortcut:
    """The 1x1 convolution with this stride (None: a linear layer) that gives a residual's input the output shape."""

    stride: int | None


@dataclass(frozen=True)
class Placed:
    """A layer with its input shape, output shape and number of parameters. `fixed` are weights that are not trained."""

    layer: Layer
    input: Shape
    output: Shape
    parameters: int
    inner: tuple["Placed", ...] = ()
    shortcut: Shortcut | None = None
    fixed: int = 0

    @property
    def values(self) -> int:
        """Number of values kept per image for the backward pass: the output and those of the inner layers."""
        return math.prod(self.output) + sum(placed.values for placed in self.inner)

    @property
    def multiplications(self) -> int:
        """Number of multiplications of the forward pass per image: of each weight with each place of the output."""
        within = sum(placed.multiplications for placed in self.inner)
        own = self.parameters + self.fixed - sum(placed.parameters for placed in self.inner)
        return within + own * math.prod(self.output[1:])


def place(layers: Sequence[Layer], shape: Shape, classes: int, pointer: str) -> tuple[Placed, ...]:
    """Compute the shapes of each layer, for images of `shape` (C, H, W) and one output for each class.

    Raises Invalid for the first layer that does not fit. Its pointer is `pointer` with the index of the layer.
    """
    placed = tuple(_place(layers, shape, classes, pointer))
    end = placed[-1].output if placed else shape
    if end != (classes,):
        detail = f"the network ends with {shown(end)}; it must end with one feature for each of the {classes} classes"
        raise Invalid([Fault(pointer, detail, 'a last layer {"type": "linear"}', FOLLOWS_FROM)])
    if not any(map(_has_weights, placed)):
        raise Invalid([Fault(pointer, "the network has no weights to learn", "at least one conv2d or linear layer")])
    return placed


def _has_weights(placed: Placed) -> bool:
    own = isinstance(placed.layer, Conv2d | Linear) or placed.shortcut is not None
    return own or any(map(_has_weights, placed.inner))


def shown(shape: Shape) -> str:
    """A shape in words: `features [128]`, `images [64, 7, 7]`."""
    return f"{'images' if len(shape) == IMAGE_RANK else 'features'} {list(shape)}"


def _place(layers: Sequence[Layer], shape: Shape, classes: int, pointer: str) -> Iterator[Placed]:
    for index, layer in enumerate(layers):
        here = f"{pointer}/{index}"
        try:
            if isinstance(layer, Residual):
                placed = _residual(layer, shape, tuple(_place(layer.layers, shape, classes, f"{here}/layers")))
            elif isinstance(layer, Whitening):
                placed = _whiten(layer, shape, index)
            else:
                output, parameters = _apply(layer, shape, classes)
                placed = Placed(layer, shape, output, parameters)
        except _Misfit as misfit:
            detail = f"layer {'.'.join(filter(str.isdigit, here.split('/')))} ({layer.type}): {misfit}"
            raise Invalid([Fault(here, detail, misfit.allowed, FOLLOWS_FROM)]) from None
        yield placed
        shape = placed.output


class _Misfit(Exception):
    def __init__(self, detail: str, allowed: str) -> None:
        super().__init__(detail)
        self.allowed = allowed


def _apply(layer: Layer, shape: Shape, classes: int) -> tuple[Shape, int]:
    """(output shape, parameters) of a plain layer."""
    match layer:
        case Conv2d():
            return _convolve(layer, shape)
        case Linear():
            (inputs,) = _features(shape)
            outputs = layer.features or classes
            return (outputs,), (inputs + layer.bias) * outputs
        case MaxPool2d() | AvgPool2d():
            return _pool(layer, shape), 0
        case GlobalAvgPool():
            return (_image(shape)[0],), 0
        case BatchNorm():
            return shape, 2 * shape[0]
        case GroupNorm():
            return _grouped(layer, shape), 2 * shape[0]
        case Dropout2d():
            return _image(shape), 0
        case Flatten():
            return (math.prod(_image(shape)),), 0
    return shape, 0


def _convolve(layer: Conv2d, shape: Shape) -> tuple[Shape, int]:
    channels, height, width = _image(shape)
    if channels % layer.groups or layer.channels % layer.groups:
        detail = f"{channels} input and {layer.channels} output channels do not divide into {layer.groups} groups"
        raise _Misfit(detail, "groups that divide both")
    if layer.padding is not None and layer.padding >= layer.kernel_size:
        detail = (
            f"a padding of {layer.padding} is as wide as the kernel of {layer.kernel_size}, which would see only zeros"
        )
        raise _Misfit(detail, f"padding 0 to {layer.kernel_size - 1}, or null")
    around = layer.kernel_size - 1 if layer.padding is None else 2 * layer.padding
    size = _windows(height, width, layer.kernel_size, layer.stride, around)
    weights = channels // layer.groups * layer.kernel_size**2 * layer.channels
    return (layer.channels, *size), weights + layer.bias * layer.channels


def _whiten(layer: Whitening, shape: Shape, index: int) -> Placed:
    if index:
        raise _Misfit("it whitens patches of the images, not of what other layers give", "the first place")
    channels, height, width = _image(shape)
    values = channels * layer.kernel_size**2  # of a patch
    outputs = 2 * values
    size = _windows(height, width, layer.kernel_size, 1, 0)
    return Placed(layer, shape, (outputs, *size), outputs, fixed=outputs * values)


def _pool(layer: MaxPool2d | AvgPool2d, shape: Shape) -> Shape:
    channels, height, width = _image(shape)
    if 2 * layer.padding > layer.kernel_size:
        detail = f"a padding of {layer.padding} is more than half of a window of {layer.kernel_size}"
        raise _Misfit(detail, f"padding 0 to {layer.kernel_size // 2}")
    stride = layer.stride or layer.kernel_size
    return (channels, *_windows(height, width, layer.kernel_size, stride, 2 * layer.padding))


def _grouped(layer: GroupNorm, shape: Shape) -> Shape:
    if shape[0] % layer.groups:
        raise _Misfit(f"{shape[0]} channels do not divide into {layer.groups} groups", f"a divisor of {shape[0]}")
    if math.prod(shape) == layer.groups:
        raise _Misfit("a group with a single value has no variance", f"fewer than {layer.groups} groups")
    return shape


def _residual(layer: Residual, shape: Shape, inner: tuple[Placed, ...]) -> Placed:
    output = inner[-1].output
    parameters = sum(placed.parameters for placed in inner)
    if output == shape:
        return Placed(layer, shape, output, parameters, inner)
    if len(output) != len(shape):
        detail = f"{shown(shape)} go in and {shown(output)} come out: they cannot be added"
        raise _Misfit(detail, "inner layers from images to images or from features to features")
    parameters += shape[0] * output[0]
    if len(shape) != IMAGE_RANK:
        return Placed(layer, shape, output, parameters, inner, Shortcut(None))
    stride = math.ceil(shape[1] / output[1])
    if [math.ceil(side / stride) for side in shape[1:]] != list(output[1:]):
        detail = f"{shown(shape)} go in and {shown(output)} come out: no stride of the 1x1 convolution fits"
        raise _Misfit(detail, "inner layers that keep the size or divide it by a whole number, rounded up")
    return Placed(layer, shape, output, parameters, inner, Shortcut(stride))


def _windows(height: int, width: int, kernel: int, stride: int, around: int) -> tuple[int, int]:
    if min(height, width) + around < kernel:
        detail = f"a window of {kernel} does not fit into {height}x{width} pixels with {around} pixels of padding"
        raise _Misfit(detail, "a smaller kernel_size, more padding, or fewer pooling layers before it")
    return (height + around - kernel) // stride + 1, (width + around - kernel) // stride + 1


def _image(shape: Shape) -> Shape:
    if len(shape) != IMAGE_RANK:
        raise _Misfit(
            f"it needs images [C, H, W] and gets {shown(shape)}", "a place before flatten and global_avg_pool"
        )
    return shape


def _features(shape: Shape) -> Shape:
    if len(shape) == IMAGE_RANK:
        raise _Misfit(f"it needs features [F] and gets {shown(shape)}", "flatten or global_avg_pool before it")
    return shape
