"""The layers at which the feature maps of torchvision's networks shrink, traced in one pass on the meta device."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.inception import InceptionB, InceptionD
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2

from workers.training.models.meta import build_on_meta
from workers.training.without_compiler import without_compiler

TRACED_SIDE = 224  # pixels; every network of torchvision accepts images of this size

Strided = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d
Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class Window:
    """A step at which the feature maps shrink (in pixels), with the parallel modules whose stride can be changed."""

    kernel_size: int
    stride: int
    padding: int = 0
    ceil_mode: bool = False
    modules: tuple[str, ...] = ()

    def output(self, side: int, stride: int) -> int:
        """The side of the map after this step, as torch computes it; 0 if no window fits."""
        rounding = stride - 1 if self.ceil_mode else 0
        steps = (side + 2 * self.padding - self.kernel_size + rounding) // stride
        if self.ceil_mode and steps * stride >= side + self.padding:
            steps -= 1  # the last window would begin beyond the map
        return max(steps + 1, 0) if side else 0


@cache
def windows(arch: str) -> tuple[Window, ...]:
    """The steps at which the feature maps of an architecture shrink, in order."""
    options = {"init_weights": True} if arch in ("googlenet", "inception_v3") else {}
    model = build_on_meta(partial(get_model, arch, **options)).eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            model.set_submodule(name, nn.Identity())  # normalization keeps the size and takes most of the time
    fixed = tuple(name for name, module in model.named_modules() if isinstance(module, InceptionB | InceptionD))
    shrinking: dict[Size, list[tuple[str, nn.Module]]] = {}  # by input size, which decreases with depth

    def note(name: str, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        before, after = _size(module, inputs[0]), _size(module, output)
        if before != after:
            shrinking.setdefault(before, []).append((name, module))

    for name, module in model.named_modules():
        if isinstance(module, Strided | PatchMerging | PatchMergingV2):
            module.register_forward_hook(partial(note, name))
    with torch.no_grad(), without_compiler():
        model(torch.empty(1, 3, TRACED_SIDE, TRACED_SIDE, device="meta"))
    return tuple(_window(modules, fixed) for modules in shrinking.values())


def _window(modules: Sequence[tuple[str, nn.Module]], fixed: tuple[str, ...]) -> Window:
    first_name, first = modules[0]
    if not isinstance(first, Strided):
        return Window(kernel_size=1, stride=2)  # merges patches two by two and pads an odd side
    # Inception's reductions also pool without a module, so their stride cannot be changed.
    names = () if first_name.startswith(fixed) else tuple(name for name, _ in modules)
    ceil_mode = bool(getattr(first, "ceil_mode", False))
    return Window(_one(first.kernel_size), _one(first.stride), _one(first.padding), ceil_mode, names)


def _size(module: nn.Module, maps: torch.Tensor) -> Size:
    height, width = maps.shape[-2:] if isinstance(module, Strided) else maps.shape[-3:-1]
    return height, width


def _one(sides: Any) -> int:
    return int(sides[0] if isinstance(sides, tuple) else sides)
