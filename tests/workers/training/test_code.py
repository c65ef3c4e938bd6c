"""The code of a network builds the same network with torch, torchvision and timm alone."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from service.core.spec import JobSpec
from service.core.spec.architectures import ARCHITECTURES
from tests.workers.training.test_export import MODELS
from workers.training.models import build_model
from workers.training.models.code import INDENT, code_of
from workers.training.models.meta import build_on_meta

OPTIONS: dict[str, dict[str, Any]] = MODELS | {
    "every layer": {
        "arch": "layers",
        "layers": [
            {"type": "whitening"},
            {"type": "conv2d", "channels": 8, "kernel_size": 4, "bias": False},
            {"type": "batch_norm", "momentum": 0.4},
            {"type": "gelu"},
            {"type": "residual", "layers": [{"type": "conv2d", "channels": 16, "stride": 2}, {"type": "relu"}]},
            {"type": "group_norm", "groups": 4},
            {"type": "max_pool2d", "kernel_size": 2},
            {"type": "avg_pool2d", "kernel_size": 2},
            {"type": "dropout2d", "p": 0.1},
            {"type": "flatten"},
            {"type": "linear", "features": 8},
            {"type": "batch_norm"},
            {"type": "dropout", "p": 0.5},
            {"type": "linear", "bias": False},
            {"type": "scale", "factor": 0.25},
        ],
    }
}
FAMILIES = ["resnet18", "googlenet", "maxvit_t", "vit_b_32", "swin_v2_t"]  # those that are changed in other ways
GRAY, WIDE = (1, 28, 32), (3, 75, 90)


def spec_of(model: dict[str, Any]) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, "model": model}).filled(1)


def built(spec: JobSpec, shape: tuple[int, int, int]) -> nn.Module:
    """The network that the code of a spec builds."""
    code = code_of(spec, shape, 10)
    names: dict[str, Any] = {"torch": torch, "nn": nn, "torchvision": torchvision, "timm": timm, "Tensor": Tensor}
    body = code.body.replace("\n", f"\n{INDENT}")
    exec(f"{''.join(code.modules)}def network():\n{INDENT}{body}\n", names)  # noqa: S102
    network: nn.Module = names["network"]()
    return network


@pytest.mark.parametrize("name", [*OPTIONS])
def test_code_of_layers_gives_the_same_logits(name: str) -> None:
    spec, shape = spec_of(OPTIONS[name]), (3, 16, 12)
    ours = build_model(spec, shape, 10).eval()
    rebuilt = built(spec, shape).eval()
    rebuilt.load_state_dict(ours.state_dict())
    images = torch.rand(4, *shape)
    assert torch.equal(ours(images), rebuilt(images))


def same_layers(arch: str, shape: tuple[int, int, int]) -> None:
    """Check the names and shapes of all weights, and the shapes of the maps between the layers."""
    spec = spec_of({"arch": arch})
    ours = build_on_meta(lambda: build_model(spec, shape, 10)).eval()
    rebuilt = build_on_meta(lambda: built(spec, shape)).eval()
    assert described(ours, shape) == described(rebuilt, shape)


def described(network: nn.Module, shape: tuple[int, int, int]) -> list[Any]:
    weights = [(name, tuple(value.shape)) for name, value in network.state_dict().items()]
    maps: list[Any] = []
    for name, module in network.named_modules():
        module.register_forward_hook(
            lambda _, __, output, name=name: maps.append((name, getattr(output, "shape", None)))
        )
    with torch.no_grad():
        network(torch.empty(2, *shape, device="meta"))
    return [*weights, *maps]


@pytest.mark.parametrize("arch", FAMILIES)
def test_code_of_torchvisions_networks_builds_the_same_layers(arch: str) -> None:
    same_layers(arch, GRAY)


@pytest.mark.parametrize("arch", ["timm/lcnet_050", "timm/vit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224"])
@pytest.mark.parametrize("shape", [GRAY, (3, 224, 224)])
def test_code_of_timms_networks_gives_the_same_logits(arch: str, shape: tuple[int, int, int]) -> None:
    spec = spec_of({"arch": arch})
    ours, rebuilt = build_model(spec, shape, 10).eval(), built(spec, shape).eval()
    rebuilt.load_state_dict(ours.state_dict())
    images = torch.rand(1, *shape)
    with torch.no_grad():
        assert torch.equal(ours(images), rebuilt(images))


@pytest.mark.long
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_code_of_every_network_builds_the_same_layers(arch: str) -> None:
    same_layers(arch, WIDE)
