"""Steps of each optimizer against closed forms, and the parameters that weight decay excludes."""

from typing import Any

import pytest
import torch
from torch import nn

from service.core.spec import Optimizer
from workers.training.optim import build_optimizer
from workers.training.regularization.l1 import l1_penalty, l1_proximal_
from workers.training.regularization.weight_decay import l2_penalty, split_parameters

LR, DECAY, EPS = 0.01, 0.1, 1e-8


def step(name: Any, steps: int = 1, **options: Any) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """(weights before, weights after, the gradients of each step) of a linear layer without bias."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 2, bias=False).double()
    before = layer.weight.detach().clone()
    optimizer = build_optimizer(layer, Optimizer(name, lr=LR, **options), DECAY, decay_norm_and_bias=False)
    gradients = [torch.randn(2, 3, dtype=torch.float64) for _ in range(steps)]
    for gradient in gradients:
        layer.weight.grad = gradient.clone()
        optimizer.step()
    return before, layer.weight.detach(), gradients


def adam_direction(gradient: torch.Tensor) -> torch.Tensor:
    """The first step of Adam: the bias corrections cancel the betas."""
    return gradient / (gradient.abs() + EPS)


def test_adam_couples_weight_decay_into_the_gradient() -> None:
    before, after, (gradient,) = step("adam")
    torch.testing.assert_close(after, before - LR * adam_direction(gradient + DECAY * before))


def test_adamw_decays_the_weights_apart_from_the_gradient() -> None:
    before, after, (gradient,) = step("adamw")
    torch.testing.assert_close(after, before * (1 - LR * DECAY) - LR * adam_direction(gradient))


def test_sgd_couples_weight_decay_into_the_gradient() -> None:
    before, after, (gradient,) = step("sgd")
    torch.testing.assert_close(after, before - LR * (gradient + DECAY * before))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgdw_decays_the_weights_apart_from_the_momentum(nesterov: bool) -> None:
    before, after, gradients = step("sgdw", steps=2, momentum=0.9, nesterov=nesterov)
    weights, velocity = before.clone(), torch.zeros_like(before)
    for gradient in gradients:
        velocity = 0.9 * velocity + gradient
        weights = weights * (1 - LR * DECAY) - LR * (gradient + 0.9 * velocity if nesterov else velocity)
    torch.testing.assert_close(after, weights)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_over_two_steps(nesterov: bool) -> None:
    before, after, gradients = step("sgd", steps=2, momentum=0.9, nesterov=nesterov)
    weights, velocity = before.clone(), torch.zeros_like(before)
    for gradient in gradients:
        full = gradient + DECAY * weights
        velocity = 0.9 * velocity + full
        weights = weights - LR * (full + 0.9 * velocity if nesterov else velocity)
    torch.testing.assert_close(after, weights)


def test_adam_uses_the_betas_of_the_spec() -> None:
    before, after, (first, second) = step("adam", steps=2, betas=(0.5, 0.5))
    g1 = first + DECAY * before
    w1 = before - LR * adam_direction(g1)
    g2 = second + DECAY * w1
    mean, square = (0.25 * g1 + 0.5 * g2) / 0.75, (0.25 * g1**2 + 0.5 * g2**2) / 0.75
    torch.testing.assert_close(after, w1 - LR * mean / (square.sqrt() + EPS))


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_biases_and_normalization_are_excluded_by_default(model: nn.Module) -> None:
    names = {id(p): name for name, p in model.named_parameters()}
    regularized, free = split_parameters(model, norm_and_bias_too=False)
    assert [names[id(p)] for p in regularized] == ["0.weight", "3.weight"]
    assert [names[id(p)] for p in free] == ["0.bias", "1.weight", "1.bias", "3.bias"]
    assert len(split_parameters(model, norm_and_bias_too=True)[0]) == 6


@pytest.mark.parametrize(("too", "expected"), [(False, {0.0, DECAY}), (True, {DECAY})])
def test_optimizer_decays_the_regularized_group(model: nn.Module, too: bool, expected: set[float]) -> None:
    optimizer = build_optimizer(model, Optimizer("adamw"), DECAY, decay_norm_and_bias=too)
    assert {group["weight_decay"] for group in optimizer.param_groups} == expected
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 6


def test_sgdw_decays_no_biases_and_no_frozen_weights(model: nn.Module) -> None:
    optimizer = build_optimizer(model, Optimizer("sgdw", lr=LR), DECAY, decay_norm_and_bias=False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model[3].parameters():  # type: ignore[index]
        p.grad = torch.zeros_like(p)
    optimizer.step()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"3.weight"}
    torch.testing.assert_close(dict(model.named_parameters())["3.weight"], before["3.weight"] * (1 - LR * DECAY))


def test_frozen_parameters_are_not_trained(model: nn.Module) -> None:
    for p in model[0].parameters():  # type: ignore[index]
        p.requires_grad_(False)
    optimizer = build_optimizer(model, Optimizer(), DECAY, decay_norm_and_bias=False)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4


def test_l1_is_the_sum_of_absolute_weights() -> None:
    w = torch.tensor([[1.0, -2.0], [0.5, 0.0]], requires_grad=True)
    penalty = l1_penalty([w], 0.1)
    penalty.backward()  # type: ignore[no-untyped-call]
    assert penalty.item() == pytest.approx(0.35)
    torch.testing.assert_close(w.grad, 0.1 * torch.tensor([[1.0, -1.0], [1.0, 0.0]]))


def test_the_proximal_step_shrinks_to_exact_zeros() -> None:
    w = torch.tensor([1.0, -1.0, 0.05, -0.05, 0.1])
    l1_proximal_([w], 0.1)
    torch.testing.assert_close(w, torch.tensor([0.9, -0.9, 0.0, 0.0, 0.0]))


def test_proximal_step_minimizes_its_objective() -> None:
    start, threshold = torch.tensor(0.7), 0.25
    grid = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    best = grid[((grid - start) ** 2 / 2 + threshold * grid.abs()).argmin()]
    moved = start.clone().view(1)
    l1_proximal_([moved], threshold)
    assert moved.item() == pytest.approx(best.item(), abs=1e-3)


def test_l2_gradient_equals_coupled_weight_decay() -> None:
    w = torch.randn(3, 3, dtype=torch.float64)
    epsilon = 1e-6
    shifted = w.clone()
    shifted[1, 2] += epsilon
    slope = (l2_penalty([shifted], DECAY) - l2_penalty([w], DECAY)) / epsilon
    assert slope.item() == pytest.approx(DECAY * w[1, 2].item(), rel=1e-4, abs=1e-6)
