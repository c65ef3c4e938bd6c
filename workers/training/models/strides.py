"""Small images: the first strides of a network are taken back until enough of a feature map is left at its end.

CIFAR networks do the same by hand: He et al., "Deep Residual Learning for Image Recognition" (2016), put a 3x3
convolution without stride or pooling in the place of the 7x7 one with both. Here the kernels keep their size, so that
pretrained weights fit and a state_dict is torchvision's own whatever the images; only the steps of the windows change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.inception import InceptionB, InceptionD
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2

from workers.training.models.meta import build_on_meta

LEAST_MAP = 4  # pixels a side that the last feature map should have
TRACED_SIDE = 224  # pixels; every network of torchvision takes such images as it is

Strided = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class Window:
    """A place where the feature maps shrink, in pixels, and the modules side by side there whose stride can change."""

    kernel_size: int
    stride: int
    padding: int = 0
    ceil_mode: bool = False
    modules: tuple[str, ...] = ()

    def output(self, side: int, stride: int) -> int:
        """The side of the map after it, as torch computes it; 0 where no window fits."""
        rounding = stride - 1 if self.ceil_mode else 0
        steps = (side + 2 * self.padding - self.kernel_size + rounding) // stride
        if self.ceil_mode and steps * stride >= side + self.padding:
            steps -= 1  # the last window would begin beyond the map
        return max(steps + 1, 0) if side else 0


def fit_strides(model: nn.Module, arch: str, size: Size) -> None:
    """Halve strides in place, from the input on, while images of this size would end in maps smaller than 4x4.

    A stride of 2 becomes 1; one of 4 becomes 2, then 1. The parallel paths of a residual block change together. Where
    4x4 is out of reach, what comes nearest to it is taken, with the finest maps on the way. Raises ValueError where no
    map would be left at all.
    """
    found = windows(arch)
    plans = [(last_map(found, strides, size), strides) for strides in plans_of(found)]
    nearest = max(reversed(plans), key=lambda plan: plan[0])
    side, strides = next((plan for plan in plans if plan[0] >= LEAST_MAP), nearest)
    if not side:
        raise ValueError(f"images of {size[0]}x{size[1]} pixels are too small for {arch}")
    apply_strides(model, found, strides)


def apply_strides(model: nn.Module, found: Sequence[Window], strides: Sequence[int]) -> None:
    """Give the modules of each window its stride, in place."""
    for window, stride in zip(found, strides, strict=True):
        for name in window.modules:
            _set_stride(model.get_submodule(name), stride)


def plans_of(found: Sequence[Window]) -> Iterator[tuple[int, ...]]:
    """The strides of all windows: as they are, then with one halving after another from the input on."""
    strides = [window.stride for window in found]
    yield tuple(strides)
    for place, window in enumerate(found):
        while window.modules and strides[place] > 1:
            strides[place] //= 2
            yield tuple(strides)


def last_map(found: Sequence[Window], strides: Sequence[int], size: Size) -> int:
    """The shorter side of the last feature map, in pixels; 0 where a window does not fit."""
    side = min(size)
    for window, stride in zip(found, strides, strict=True):
        side = window.output(side, stride)
    return side


@cache
def windows(arch: str) -> tuple[Window, ...]:
    """Where the architecture's feature maps shrink, in order, seen in one pass on the meta device."""
    options = {"init_weights": True} if arch in ("googlenet", "inception_v3") else {}
    model = build_on_meta(partial(get_model, arch, **options)).eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            model.set_submodule(name, nn.Identity())  # it keeps the size, and costs most of the pass
    fixed = tuple(name for name, module in model.named_modules() if isinstance(module, InceptionB | InceptionD))
    shrinking: dict[Size, list[tuple[str, nn.Module]]] = {}  # by the size that goes in: it falls with depth

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        before, after = _size(module, inputs[0]), _size(module, output)
        if before != after:
            shrinking.setdefault(before, []).append((name, module))

    for name, module in model.named_modules():
        if isinstance(module, Strided | PatchMerging | PatchMergingV2):
            module.register_forward_hook(partial(note, name))
    with torch.no_grad():
        model(torch.empty(1, 3, TRACED_SIDE, TRACED_SIDE, device="meta"))
    return tuple(_window(modules, fixed) for modules in shrinking.values())


def _window(modules: Sequence[tuple[str, nn.Module]], fixed: tuple[str, ...]) -> Window:
    first_name, first = modules[0]
    if not isinstance(first, Strided):
        return Window(kernel_size=1, stride=2)  # patches are merged two by two, the odd one with padding
    # Inception's reductions pool beside their convolutions without a module: that stride cannot be changed.
    names = () if first_name.startswith(fixed) else tuple(name for name, _ in modules)
    ceil_mode = bool(getattr(first, "ceil_mode", False))
    return Window(_one(first.kernel_size), _one(first.stride), _one(first.padding), ceil_mode, names)


def _size(module: nn.Module, maps: torch.Tensor) -> Size:
    height, width = maps.shape[-2:] if isinstance(module, Strided) else maps.shape[-3:-1]
    return height, width


def _one(sides: Any) -> int:
    return int(sides[0] if isinstance(sides, tuple) else sides)


def _set_stride(module: nn.Module, stride: int) -> None:
    if isinstance(module, nn.Conv2d):
        module.stride = (stride, stride)
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        module.stride = stride
