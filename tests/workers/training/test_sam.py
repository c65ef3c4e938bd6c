"""Sharpness-aware minimization against a reference implementation in plain torch."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from service.core.spec import JobSpec, doubts
from tests.workers.training.small import CPU, EVERY_AUGMENTATION, network, spec, trained, training_data
from workers.training.group import SINGLE_PROCESS
from workers.training.loop import fit
from workers.training.regularization.sam import sharpness_aware_
from workers.training.seeds import generator
from workers.training.state import State
from workers.training.step import Step

SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
CNN = {"arch": "cnn", "channels": [4, 8], "hidden": [16], "norm": "batch"}
SAM = {"sam_rho": 0.05}


def gradients(model: nn.Module, weights: dict[str, Tensor], images: Tensor, labels: Tensor, l1: float) -> list[Tensor]:
    """The gradients of cross entropy and L1 at the given weights."""
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    loss = F.cross_entropy(functional_call(model, leaves, (images,)), labels)
    loss = loss + l1 * sum(value.abs().sum() for value in leaves.values() if value.ndim > 1)
    return list(torch.autograd.grad(loss, list(leaves.values())))


def norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(value**2 for tensor in tensors for value in tensor.flatten().tolist()))


def reference(given: JobSpec) -> dict[str, Tensor]:
    """The weights after an epoch of SAM over SGD with momentum, by the formulas of the papers."""
    model, options, data = network(given), given.regularization, training_data(given).train
    weights = {name: value.detach().clone() for name, value in model.named_parameters()}
    velocity = [torch.zeros_like(value) for value in weights.values()]
    for pixels, labels in data.shuffled(given.batch_size, generator(given.seed, "order")):
        images = data.normalized(pixels)
        first = gradients(model, weights, images, labels, options.l1)
        sizes = [w.abs() if options.sam_adaptive else torch.ones_like(w) for w in weights.values()]
        length = norm([size * g for size, g in zip(sizes, first, strict=True)])
        away = [options.sam_rho * size**2 * g / length for size, g in zip(sizes, first, strict=True)]
        there = {name: w + e for (name, w), e in zip(weights.items(), away, strict=True)}
        second = gradients(model, there, images, labels, options.l1)
        limit = options.gradient_clip_norm or math.inf
        clip = min(1.0, limit / norm(second))
        for number, (w, g) in enumerate(zip(weights.values(), second, strict=True)):
            decay = options.weight_decay if w.ndim > 1 else 0.0
            velocity[number] = given.optimizer.momentum * velocity[number] + g * clip + decay * w
            w.sub_(given.optimizer.lr * velocity[number])
    return weights


@pytest.mark.parametrize(
    "options",
    [
        SAM,
        {"sam_rho": 0.5, "sam_adaptive": True},
        SAM | {"gradient_clip_norm": 0.3},
        SAM | {"l1": 1e-3, "weight_decay": 0.01},
    ],
)
def test_an_epoch_equals_the_reference(options: dict[str, Any]) -> None:
    given = spec(epochs=1, optimizer=SGD, regularization=options)
    model, expected = trained(given)[0], reference(given)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.detach(), expected[name], rtol=1e-3, atol=1e-5)
    plain = trained(spec(epochs=1, optimizer=SGD))[0]
    assert any(not torch.allclose(p, expected[n], rtol=1e-2, atol=1e-4) for n, p in plain.named_parameters())


def test_the_weights_return_to_where_they_were() -> None:
    layer = nn.Linear(8, 4)
    before = layer.weight.detach().clone()
    layer(torch.ones(1, 8)).square().sum().backward()
    seen: list[Tensor] = []
    sharpness_aware_([*layer.parameters()], 0.05, False, lambda: seen.append(layer.weight.detach().clone()))
    assert torch.equal(layer.weight, before)
    assert not torch.equal(seen[0], before)


def test_a_gradient_of_zero_moves_nothing() -> None:
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.zeros(3)
    seen: list[Tensor] = []
    sharpness_aware_([weight], 0.05, False, lambda: seen.append(weight.detach().clone()))
    assert seen[0].tolist() == [1, 1, 1]


def test_both_passes_see_the_same_batch_and_the_same_dropout() -> None:
    seen: list[Tensor] = []

    class Recorder(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            images = F.dropout(images.flatten(1), 0.5, self.training)
            if self.training:
                seen.append(images.detach().clone())
            return super().forward(images)

    mixed = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}
    given = spec(epochs=1, precision="fp32", regularization=SAM | mixed, augmentation=EVERY_AUGMENTATION)
    fit(Recorder(64, 10), training_data(given), given)
    first, second = seen[::2], seen[1::2]
    assert len(first) == len(second) == 4
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])


def statistics(options: dict[str, Any]) -> dict[str, Tensor]:
    """The buffers of batch normalization after one step."""
    given = spec(model=CNN, regularization=options, precision="fp32")
    model, train = network(given).train(), training_data(given).train
    state = State.fresh(given, model, 4, CPU)
    pixels, labels = next(iter(train.shuffled(given.batch_size, state.order)))
    Step(state, train, SINGLE_PROCESS)(pixels, labels, 0.1)
    return dict(model.named_buffers())


def test_the_first_pass_alone_updates_running_statistics() -> None:
    plain, twice = statistics({}), statistics(SAM)
    assert plain.keys() == twice.keys()
    assert plain
    assert all(torch.equal(plain[name], twice[name]) for name in plain)


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16"}, {"regularization": SAM | {"ema_decay": 0.9}}])
def test_it_learns_and_repeats_to_the_last_bit(changes: dict[str, Any]) -> None:
    given = spec(**{"model": CNN, "epochs": 12, "optimizer": {"lr": 0.03}, "regularization": SAM} | changes)
    first, second = ([(r.train_loss, r.val_loss) for r in trained(given)[2]] for _ in range(2))
    assert first == second
    assert first[-1][0] < first[0][0] / 2


def test_switched_off_it_changes_nothing() -> None:
    def losses(options: dict[str, Any]) -> list[float]:
        dropped = options | {"dropout": 0.3}
        return [r.val_loss for r in trained(spec(model=CNN, epochs=2, regularization=dropped))[2]]

    assert losses({"sam_rho": 0, "sam_adaptive": True}) == losses({})


def test_adaptive_form_alone_is_a_warning() -> None:
    assert list(doubts(spec(regularization={"sam_adaptive": True}))) == [
        "regularization.sam_adaptive has no effect without sam_rho."
    ]
