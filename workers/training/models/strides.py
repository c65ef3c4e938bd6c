"""Small images: the first strides of a network are reduced until its last feature map is large enough.

Networks for CIFAR are adapted in this way by hand: He et al., "Deep Residual Learning for Image Recognition" (2016),
replace the 7x7 convolution with stride and pooling by a 3x3 one without. Here only the strides change. The kernels keep
their size, so that pretrained weights fit and the state_dict is the same for all images.
"""

from collections.abc import Iterator, Sequence

from torch import nn

from workers.training.models.windows import Size, Window, windows

LEAST_MAP = 4  # minimum side of the last feature map in pixels


def fit_strides(model: nn.Module, arch: str, size: Size) -> None:
    """Halve strides in place, from the input on, until the last map is at least 4x4 for images of this size.

    A stride of 2 becomes 1; a stride of 4 becomes 2, then 1. The parallel paths of a residual block change together. If
    4x4 cannot be reached, the largest possible last map is chosen, with the largest maps before it. Raises ValueError
    if the image is too small for any map.
    """
    sliding = windows(arch)
    plans = [(last_map(sliding, strides, size), strides) for strides in plans_of(sliding)]
    nearest = max(reversed(plans), key=lambda plan: plan[0])
    side, strides = next((plan for plan in plans if plan[0] >= LEAST_MAP), nearest)
    if not side:
        raise ValueError(f"images of {size[0]}x{size[1]} pixels are too small for {arch}")
    apply_strides(model, sliding, strides)


def apply_strides(model: nn.Module, sliding: Sequence[Window], strides: Sequence[int]) -> None:
    """Set the stride of the modules of each window, in place."""
    for window, stride in zip(sliding, strides, strict=True):
        for name in window.modules:
            _set_stride(model.get_submodule(name), stride)


def plans_of(sliding: Sequence[Window]) -> Iterator[tuple[int, ...]]:
    """The strides of all windows: first unchanged, then with one more halving each time, from the input on."""
    strides = [window.stride for window in sliding]
    yield tuple(strides)
    for place, window in enumerate(sliding):
        while window.modules and strides[place] > 1:
            strides[place] //= 2
            yield tuple(strides)


def last_map(sliding: Sequence[Window], strides: Sequence[int], size: Size) -> int:
    """The shorter side of the last feature map in pixels; 0 if a window does not fit."""
    side = min(size)
    for window, stride in zip(sliding, strides, strict=True):
        side = window.output(side, stride)
    return side


def _set_stride(module: nn.Module, stride: int) -> None:
    if isinstance(module, nn.Conv2d):
        module.stride = (stride, stride)
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        module.stride = stride
