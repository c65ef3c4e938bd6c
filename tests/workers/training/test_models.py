from typing import Any

import pytest
import torch
from torch import nn

from tests.workers.training.small import network, spec
from workers.training.models import build_model
from workers.training.models.layers import ResidualBlock
from workers.training.regularization.dropout import Dropout

MODELS: list[dict[str, Any]] = [
    {"arch": "mlp", "hidden": [8, 8]},
    {"arch": "mlp", "hidden": []},
    {"arch": "cnn", "channels": [4], "kernel_size": 1, "hidden": []},
    {"arch": "cnn", "channels": [6, 8], "kernel_size": 2, "hidden": [8], "norm": "group"},
    {"arch": "cnn", "channels": [8, 8, 8], "kernel_size": 5, "hidden": [8, 8], "norm": "batch"},
]
RESIDUAL = {
    "arch": "layers",
    "layers": [
        {"type": "conv2d", "channels": 4},
        *[{"type": "residual", "layers": [{"type": "conv2d", "channels": 4}, {"type": "relu"}]}] * 3,
        {"type": "residual", "layers": [{"type": "conv2d", "channels": 6, "stride": 2}]},
        {"type": "global_avg_pool"},
        {"type": "linear"},
    ],
}


@pytest.mark.parametrize("model", [*MODELS, RESIDUAL])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13)])
def test_network_maps_images_to_logits(model: dict[str, Any], shape: tuple[int, int, int]) -> None:
    built = build_model(spec(model=model), shape, 5)
    assert built(torch.zeros(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize("model", [*MODELS, RESIDUAL])
def test_weights_come_from_the_seed_not_the_global_generator(model: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    first, again, other = network(spec(model=model)), network(spec(model=model)), network(spec(model=model, seed=8))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


@pytest.mark.parametrize(("model", "places"), list(zip(MODELS, [2, 0, 1, 1, 2], strict=True)))
def test_dropout_stands_before_every_linear_layer_but_the_first(model: dict[str, Any], places: int) -> None:
    built = network(spec(model=model, regularization={"dropout": 0.25}))
    dropouts = [module for module in built.modules() if isinstance(module, Dropout)]
    assert [module.p for module in dropouts] == [0.25] * places
    assert not [module for module in network(spec(model=model)).modules() if isinstance(module, Dropout)]


def test_spatial_dropout_drops_channels_after_every_block() -> None:
    built = network(spec(model=MODELS[4], regularization={"spatial_dropout": 0.5}))
    dropouts = [module for module in built.modules() if isinstance(module, nn.Dropout2d)]
    assert [module.p for module in dropouts] == [0.5] * 3
    dropped = dropouts[0].train()(torch.ones(64, 8, 3, 3)).flatten(2)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert bool((dropped == dropped[:, :, :1]).all())


def test_a_network_of_layers_is_built_as_it_is_written() -> None:
    built = network(spec(model=RESIDUAL))
    kinds = [type(module) for module in built.children()]
    assert kinds == [nn.Conv2d, *[ResidualBlock] * 4, nn.Sequential, nn.Linear]
    x = torch.randn(2, 4, 8, 8)
    block = built[1].eval()  # type: ignore[index]
    torch.testing.assert_close(block(x), x + block.branch(x))
    strided = built[4].eval()  # type: ignore[index]
    torch.testing.assert_close(strided(x), strided.shortcut(x) + strided.branch(x))
    assert strided.shortcut.stride == (2, 2)


def test_stochastic_depth_skips_per_image_at_rising_rates() -> None:
    built = network(spec(model=RESIDUAL, regularization={"stochastic_depth": 0.8})).train()
    blocks = [module for module in built.modules() if isinstance(module, ResidualBlock)]
    assert [block.skip.p for block in blocks] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    torch.manual_seed(0)
    x = torch.randn(1, 4, 8, 8).expand(4000, 4, 8, 8)
    branch = blocks[2](x) - x
    skipped = (branch.flatten(1).abs().amax(1) < 1e-6).double().mean().item()
    assert skipped == pytest.approx(0.6, abs=0.04)
    torch.testing.assert_close(branch.mean(0), blocks[2].branch(x[:1])[0], atol=0.15, rtol=0.1)
    blocks[2].eval()
    torch.testing.assert_close(blocks[2](x[:1]), x[:1] + blocks[2].branch(x[:1]))


def test_pooling_before_relu_equals_relu_before_pooling() -> None:
    built = network(spec(model={"arch": "cnn", "channels": [4, 6], "hidden": []}))
    convolutions = [module for module in built if isinstance(module, nn.Conv2d)]  # type: ignore[attr-defined]
    as_written: list[nn.Module] = []
    for convolution in convolutions:
        as_written += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
    reference = nn.Sequential(*as_written, nn.Flatten(), built[-1])  # type: ignore[index]
    images = torch.randn(5, 1, 8, 8)
    gradients = []
    for model in (built, reference):
        model.zero_grad()
        logits = model(images)
        logits.square().sum().backward()
        gradients.append([logits.detach(), *[p.grad.clone() for p in built.parameters() if p.grad is not None]])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
