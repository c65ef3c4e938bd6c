"""The table of architectures against torchvision's published numbers and the networks that workers build."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import get_model_weights, list_models

from service.core.spec.architectures import ARCHITECTURES, FILE, TIMM, TIMM_FILE, TORCHVISION, Architecture, read
from service.core.spec.states import state_shapes
from workers.tools import describe_timm
from workers.tools.describe import describe, multiplications, table, values_kept
from workers.training.models.meta import build_on_meta
from workers.training.models.torchvision import build_torchvision

KNOWN = ARCHITECTURES["resnet18"]


def test_every_classification_network_of_torchvision_is_known() -> None:
    assert list(TORCHVISION) == list_models(module=torchvision.models)
    assert all(known.name == name for name, known in ARCHITECTURES.items())


@pytest.mark.parametrize("arch", [name for name in TORCHVISION if name != "inception_v3"])
def test_parameters_are_those_that_torchvision_publishes(arch: str) -> None:
    published: dict[str, Any] = get_model_weights(arch).DEFAULT.meta
    height, width = published["min_size"] if arch.startswith("vit") else (224, 224)
    assert ARCHITECTURES[arch].parameters(3, height, width, 1000) == published["num_params"]


def test_the_auxiliary_classifier_of_inception_is_not_counted() -> None:
    auxiliary = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + (768 + 1) * 1000
    published = get_model_weights("inception_v3").DEFAULT.meta["num_params"]
    assert ARCHITECTURES["inception_v3"].parameters(3, 299, 299, 1000) == published - auxiliary


@pytest.mark.parametrize("arch", ["alexnet", "maxvit_t", "squeezenet1_1", "swin_t", "vit_b_16", "vit_b_32", "vit_h_14"])
@pytest.mark.parametrize("shape", [(1, 13, 20), (7, 225, 100)])
def test_parameters_are_those_of_the_network_that_is_built(arch: str, shape: tuple[int, int, int]) -> None:
    model = build_on_meta(
        lambda: build_torchvision(arch, shape, 3, dropout=0.5, stochastic_depth=0.0, pretrained=False)
    )
    assert sum(p.numel() for p in model.parameters()) == ARCHITECTURES[arch].parameters(*shape, 3)


def test_features_are_the_inputs_of_the_last_layer() -> None:
    features = {
        name: ARCHITECTURES[name].features for name in ("resnet18", "resnet50", "vgg16", "squeezenet1_1", "vit_b_16")
    }
    assert features == {"resnet18": 512, "resnet50": 2048, "vgg16": 4096, "squeezenet1_1": 512, "vit_b_16": 768}


def test_kept_values_are_counted_once_without_weights() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2)).to("meta")
    assert values_kept(model, 4) == 48 + 5  # each layer's input; the ReLU's output is the last one's


@pytest.mark.parametrize("arch", ["squeezenet1_1", "alexnet"])
def test_a_network_is_described_as_the_table_has_it(arch: str) -> None:
    assert describe(arch) == ARCHITECTURES[arch]


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(table(TORCHVISION))
    assert read(file) == TORCHVISION
    assert file.read_text() == FILE.read_text()
    assert len(FILE.read_text().splitlines()) == len(TORCHVISION) + 2


def test_networks_of_timm_are_described_as_the_table_has_them() -> None:
    assert list(read(TIMM_FILE)) == [TIMM + name for name in describe_timm.NAMES]
    for name in ("lcnet_050", "vit_tiny_patch16_224"):
        assert describe_timm.described(name, values_kept, multiplications) == (
            ARCHITECTURES[TIMM + name],
            state_shapes(TIMM + name),
        )


def test_the_kept_values_of_a_real_step_are_what_is_planned() -> None:
    torch.set_num_threads(1)
    model = build_torchvision(
        "shufflenet_v2_x0_5",
        (3, 32, 32),
        10,
        dropout=0.0,
        stochastic_depth=0.0,
        pretrained=False,
    ).train()
    weights = {p.data_ptr() for p in model.parameters()}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(torch.zeros(4, 3, 32, 32))
    assert logits.requires_grad
    measured = sum(size for size, _ in kept.values()) / 4 / 4  # images, bytes a value
    assert ARCHITECTURES["shufflenet_v2_x0_5"].activations(32, 32) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize(("side", "values"), KNOWN.kept)
def test_activations_at_a_known_side_are_the_known_ones(side: int, values: int) -> None:
    assert KNOWN.activations(side, side) == values


def test_activations_between_known_sides_go_with_the_area() -> None:
    kept = ((10, 1000), (20, 5000))
    known = Architecture("made_up", 0, 0, 0, 1, 1, False, False, kept, most_multiplications=20_000)
    assert known.activations(10, 25) == 3000  # half-way from 100 to 400 pixels
    assert known.activations(5, 10) == 500
    assert known.activations(20, 40) == 10_000
    assert [known.multiplications(side, side) for side in (10, 20)] == [4_000, 20_000]


@given(st.sampled_from(sorted(TORCHVISION)), st.integers(8, 512), st.integers(8, 512))
def test_activations_stay_between_the_known_ones(name: str, height: int, width: int) -> None:
    values = [value for _, value in TORCHVISION[name].kept]
    assert 0 < TORCHVISION[name].activations(height, width) <= max(values)
    assert TORCHVISION[name].activations(height, width) == TORCHVISION[name].activations(width, height)


def test_architecture_table_loads_without_torch() -> None:
    code = "import sys, service.core.spec.architectures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
