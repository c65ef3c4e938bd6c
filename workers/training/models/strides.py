"""Small images: the first strides of a network are taken back until enough of a feature map is left at its end.

CIFAR networks do the same by hand: He et al., "Deep Residual Learning for Image Recognition" (2016), put a 3x3
convolution without stride or pooling in the place of the 7x7 one with both. Here the kernels keep their size, so that
pretrained weights fit and a state_dict is torchvision's own whatever the images; only the steps of the windows change.
"""

from collections.abc import Iterator, Sequence

from torch import nn

from workers.training.models.windows import Size, Window, windows

LEAST_MAP = 4  # pixels a side that the last feature map should have


def fit_strides(model: nn.Module, arch: str, size: Size) -> None:
    """Halve strides in place, from the input on, while images of this size would end in maps smaller than 4x4.

    A stride of 2 becomes 1; one of 4 becomes 2, then 1. The parallel paths of a residual block change together. Where
    4x4 is out of reach, what comes nearest to it is taken, with the finest maps on the way. Raises ValueError where no
    map would be left at all.
    """
    sliding = windows(arch)
    plans = [(last_map(sliding, strides, size), strides) for strides in plans_of(sliding)]
    nearest = max(reversed(plans), key=lambda plan: plan[0])
    side, strides = next((plan for plan in plans if plan[0] >= LEAST_MAP), nearest)
    if not side:
        raise ValueError(f"images of {size[0]}x{size[1]} pixels are too small for {arch}")
    apply_strides(model, sliding, strides)


def apply_strides(model: nn.Module, sliding: Sequence[Window], strides: Sequence[int]) -> None:
    """Give the modules of each window its stride, in place."""
    for window, stride in zip(sliding, strides, strict=True):
        for name in window.modules:
            _set_stride(model.get_submodule(name), stride)


def plans_of(sliding: Sequence[Window]) -> Iterator[tuple[int, ...]]:
    """The strides of all windows: as they are, then with one halving after another from the input on."""
    strides = [window.stride for window in sliding]
    yield tuple(strides)
    for place, window in enumerate(sliding):
        while window.modules and strides[place] > 1:
            strides[place] //= 2
            yield tuple(strides)


def last_map(sliding: Sequence[Window], strides: Sequence[int], size: Size) -> int:
    """The shorter side of the last feature map, in pixels; 0 where a window does not fit."""
    side = min(size)
    for window, stride in zip(sliding, strides, strict=True):
        side = window.output(side, stride)
    return side


def _set_stride(module: nn.Module, stride: int) -> None:
    if isinstance(module, nn.Conv2d):
        module.stride = (stride, stride)
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        module.stride = stride
