"""A network as Python code that builds it with torch, and torchvision or timm for their networks, without Rightfit.

The code is made from the modules themselves, so it fits every network that is built here.
"""

import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torchvision.models import get_model

from service.core.spec import JobSpec, Torchvision
from service.core.spec.architectures import TIMM
from workers.training.models import build_model
from workers.training.models.layers import ResidualBlock, Scaled
from workers.training.models.meta import build_on_meta
from workers.training.models.sizes import input_side
from workers.training.models.torchvision import options_of
from workers.training.models.whitening import Whitening
from workers.training.models.windows import Size
from workers.training.regularization import dropout

Shape = tuple[int, int, int]  # (channels, height, width)
PLAIN = (bool, int, float, str, tuple, type(None))  # types of options that are written as they are
INDENT = " " * 4
RESIDUAL = '''class Residual(nn.Module):
    """shortcut(x) + branch(x)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.branch(x)


'''
SCALED = '''class Scaled(nn.Module):
    """factor * x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


'''
OWN = {ResidualBlock: RESIDUAL, Scaled: SCALED}  # the source of modules that torch does not have


@dataclass(frozen=True)
class NetworkCode:
    """`packages` are what the code imports besides torch; `body` is the body of a function that returns the network.

    `modules` are the source texts of its modules that torch does not have.
    """

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    body: str


def code_of(spec: JobSpec, shape: Shape, classes: int) -> NetworkCode:
    """The code of the network of a spec for images of a shape. Its state_dict has the names of that of the network."""
    fresh = replace(spec, model=without_weights(spec.model))
    network = build_on_meta(lambda: build_model(fresh, shape, classes))
    if spec.model.arch.startswith(TIMM):
        return NetworkCode(("timm",), (), "\n".join(_of_timm(network, spec.model.arch, shape, classes)))
    if isinstance(spec.model, Torchvision):
        statements = _of_torchvision(network, spec.model.arch, shape, classes)
        return NetworkCode(("torchvision",), (), "\n".join(statements))
    kinds = {type(module) for module in network.modules()}
    own = tuple(source for kind, source in OWN.items() if kind in kinds)
    return NetworkCode((), own, f"return {_constructor(network)}")


def without_weights(model: Any) -> Any:
    """The network with the same layers and nothing to load."""
    fresh = replace(model, weights=None)
    return replace(fresh, pretrained=False) if isinstance(fresh, Torchvision) else fresh


def _constructor(module: nn.Module) -> str:
    """The call that makes a module of a network of layers."""
    match module:
        case nn.Sequential():
            return _call("nn.Sequential", map(_constructor, module))
        case ResidualBlock():
            return _call("Residual", map(_constructor, (module.branch, module.shortcut)))
        case dropout.Dropout():
            return f"nn.Dropout({module.p})"
        case Scaled():
            return f"Scaled({module.factor})"
        case Whitening():
            return f"nn.Conv2d({', '.join(_arguments(module, nn.Conv2d))})"
    return f"nn.{type(module).__name__}({', '.join(_arguments(module, type(module)))})"


def _call(name: str, arguments: Iterator[str]) -> str:
    inner = "".join(f"{argument},\n" for argument in arguments)
    return f"{name}(\n{textwrap.indent(inner, INDENT)})"


def _arguments(module: nn.Module, kind: type[nn.Module]) -> Iterator[str]:
    """The arguments of a constructor that differ from its defaults; the module keeps each under its name."""
    for name, parameter in inspect.signature(kind).parameters.items():
        if not hasattr(module, name):
            continue
        value = getattr(module, name)
        value = value is not None if name == "bias" else _shortest(value)
        if value != parameter.default:
            yield f"{name}={value!r}"


def _shortest(value: Any) -> Any:
    """One number for equal sides."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _of_torchvision(network: nn.Module, arch: str, shape: Shape, classes: int) -> Iterator[str]:
    """torchvision's network, then what differs in this one: strides, the first convolution, the size of the images."""
    options = options_of(arch, shape[1:]) | {"num_classes": classes}
    plain = build_on_meta(lambda: get_model(arch, **options))
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    yield f'model = torchvision.models.get_model("{arch}", {given})'
    for name, module in network.named_modules():
        yield from _changes(f'model.get_submodule("{name}")', module, plain.get_submodule(name))
    if side := input_side(arch, shape[1:]):
        yield from _resizing((side, side))
    yield "return model"


def _of_timm(network: nn.Module, arch: str, shape: Shape, classes: int) -> Iterator[str]:
    """timm's network, then the scaling and the size of the images."""
    from workers.training.models.timm_networks import (  # noqa: PLC0415 - it takes seconds; loaded with the network
        input_scaling,
        options_of,
        resized_to,
    )

    given = ", ".join(f"{name}={value!r}" for name, value in options_of(arch, shape, classes).items())
    yield f'model = timm.create_model("{arch.removeprefix(TIMM)}", {given})'
    if scaling := input_scaling(network, shape[0]):
        for name, values in zip(("input_scale", "input_shift"), scaling, strict=True):
            yield f'model.register_buffer("{name}", torch.tensor({values}).view(-1, 1, 1), persistent=False)'
        yield "model.register_forward_pre_hook(lambda model, images: images[0] * model.input_scale + model.input_shift)"
    if target := resized_to(arch, shape):
        yield from _resizing(target)
    yield "return model"


def _resizing(target: Size) -> Iterator[str]:
    """Statements that make the model resize its images."""
    yield f'resize = nn.Upsample({target}, mode="bilinear")'
    yield "model.register_forward_pre_hook(lambda _, images: resize(images[0]))"


def _changes(place: str, module: nn.Module, plain: nn.Module) -> Iterator[str]:
    """Statements that make a module of torchvision the one that is used here."""
    for name, value in vars(module).items():
        if isinstance(value, PLAIN) and value != getattr(plain, name):
            yield f"{place}.{name} = {value!r}"
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.shape != plain.get_parameter(name).shape:
            yield f"{place}.{name} = nn.Parameter(torch.empty{tuple(parameter.shape)})"
