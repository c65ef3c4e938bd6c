from typing import Any

import pytest
import torch
from torch import nn

from tests.workers.training.small import network, spec
from workers.training.models import build_model

MODELS: list[dict[str, Any]] = [
    {"arch": "mlp", "hidden": [8, 8]},
    {"arch": "mlp", "hidden": []},
    {"arch": "cnn", "channels": [4], "kernel_size": 1, "hidden": []},
    {"arch": "cnn", "channels": [6, 8], "kernel_size": 2, "hidden": [8], "norm": "group"},
    {"arch": "cnn", "channels": [8, 8, 8], "kernel_size": 5, "hidden": [8, 8], "norm": "batch"},
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13)])
def test_images_go_in_and_logits_come_out(model: dict[str, Any], shape: tuple[int, int, int]) -> None:
    built = build_model(spec(model=model), shape, 5)
    assert built(torch.zeros(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize("model", MODELS)
def test_weights_come_from_the_seed_and_leave_the_global_generator_alone(model: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    first, again, other = network(spec(model=model)), network(spec(model=model)), network(spec(model=model, seed=8))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize(("model", "places"), list(zip(MODELS, [2, 0, 1, 1, 2], strict=True)))
def test_dropout_stands_before_every_linear_layer_but_the_first(model: dict[str, Any], places: int) -> None:
    built = network(spec(model=model, regularization={"dropout": 0.25}))
    found = [module for module in built.modules() if isinstance(module, nn.Dropout)]
    assert [module.p for module in found] == [0.25] * places
    assert not [module for module in network(spec(model=model)).modules() if isinstance(module, nn.Dropout)]
