"""Uneven classes: balanced sampling, focal loss and logit adjustment."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tests.workers.training.small import CPU, network, seeded, spec
from workers.training.data.sampling import balanced_draws
from workers.training.regularization.cross_entropy import cross_entropy, mixed_cross_entropy
from workers.training.regularization.focal import focal, focal_loss
from workers.training.regularization.hooks import OFF, Hooks, Mixed, Setup
from workers.training.regularization.logit_adjustment import adjustment, logit_adjusted

CLASSES = 5
UNEVEN = torch.tensor([0] * 60 + [1] * 25 + [2] * 10 + [4] * 5)  # no label 3


def batch_of(n: int = 12, share: float = 1.0) -> tuple[Tensor, Mixed]:
    """Logits float32 [n, CLASSES] and a batch with random labels."""
    random = seeded(4)
    logits = torch.randn(n, CLASSES, generator=random) * 3
    labels, others = torch.randint(CLASSES, (2, n), generator=random)
    return logits, Mixed(torch.zeros(n, 1), labels, others, share)


def targets(batch: Mixed, smoothing: float) -> Tensor:
    """The target distributions, float64 [n, CLASSES]."""
    hard = batch.share * F.one_hot(batch.labels, CLASSES) + (1 - batch.share) * F.one_hot(batch.other_labels, CLASSES)
    return (1 - smoothing) * hard.double() + smoothing / CLASSES


def setup(**regularization: Any) -> Setup:
    given = spec(regularization=regularization)
    return Setup(given, network(given), UNEVEN, CLASSES, CPU)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 0.1, 3.0]])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_that_of_the_paper(
    share: float, smoothing: float, weights: list[float] | None, gamma: float
) -> None:
    logits, batch = batch_of(share=share)
    loss = focal_loss(logits, batch, gamma, smoothing, torch.tensor(weights) if weights else None)
    total = 0.0
    for row, target in zip(logits.tolist(), targets(batch, smoothing).tolist(), strict=True):
        exponentials = [math.exp(value) for value in row]
        for c, q in enumerate(target):
            p = exponentials[c] / sum(exponentials)
            total -= (weights or [1.0] * CLASSES)[c] * q * (1 - p) ** gamma * math.log(p)
    assert loss.item() == pytest.approx(total / len(logits), rel=1e-5)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_focal_loss_with_gamma_0_is_cross_entropy(share: float) -> None:
    logits, batch = batch_of(share=share)
    weights = torch.rand(CLASSES, generator=seeded(1))
    plain = mixed_cross_entropy(logits, batch.labels, batch.other_labels, share, 0.1, weights)
    assert focal_loss(logits, batch, 0.0, 0.1, weights).item() == pytest.approx(plain.item(), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 2.0])
def test_focal_loss_has_a_finite_slope_at_certainty(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [-200.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    focal_loss(logits, Mixed(torch.zeros(2, 1), labels, labels, 1.0), gamma, 0.1).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1, 0] < 0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logit_adjusted_loss_is_that_of_the_paper(smoothing: float, tau: float) -> None:
    hooks = logit_adjusted(setup(loss="logit_adjusted", logit_adjustment=tau, label_smoothing=smoothing))
    logits, batch = batch_of(share=0.3)
    shares = [0.6, 0.25, 0.1, 0.01, 0.05]  # of the training images; a class without one counts as if it had one
    total = 0.0
    for row, target in zip(logits.tolist(), targets(batch, smoothing).tolist(), strict=True):
        weighed = [share**tau * math.exp(value) for share, value in zip(shares, row, strict=True)]
        total -= sum(q * math.log(w / sum(weighed)) for q, w in zip(target, weighed, strict=True))
    assert loss_of(hooks, logits, batch) == pytest.approx(total / len(logits), rel=1e-5)


def test_even_classes_need_no_logit_adjustment() -> None:
    logits, batch = batch_of()
    even = adjustment(torch.arange(CLASSES).repeat(7), CLASSES, 1.0)
    plain = mixed_cross_entropy(logits, batch.labels, batch.labels)
    assert mixed_cross_entropy(logits + even, batch.labels, batch.labels).item() == pytest.approx(
        plain.item(), rel=1e-6
    )


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "logit_adjusted"])
def test_exactly_one_method_acts_for_a_loss(loss: str) -> None:
    given = setup(loss=loss)
    acting = [method for method in (cross_entropy, focal, logit_adjusted) if method(given) is not OFF]
    assert [method.__name__ for method in acting] == [loss]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50), st.integers(0, 999))
def test_balanced_draws_are_positions_of_an_equal_number(labels: list[int], seed: int) -> None:
    drawn = balanced_draws(torch.tensor(labels), seeded(seed)).tolist()
    assert len(drawn) == len(labels)
    assert set(drawn) <= set(range(len(labels)))


def test_balanced_draws_take_classes_and_their_images_evenly() -> None:
    epochs = 2000
    random = seeded(3)
    drawn = torch.cat([balanced_draws(UNEVEN, random) for _ in range(epochs)])
    of_classes = Counter(UNEVEN[drawn].tolist())
    assert of_classes.keys() == {0, 1, 2, 4}
    _assert_even(list(of_classes.values()), len(drawn) / 4)
    of_rare = torch.bincount(drawn, minlength=len(UNEVEN))[UNEVEN == 4]
    _assert_even(of_rare.tolist(), len(drawn) / 4 / 5)


def _assert_even(counts: list[int], expected: float) -> None:
    """Within five standard deviations of Poisson counts."""
    assert all(abs(count - expected) < 5 * math.sqrt(expected) for count in counts), counts


def loss_of(hooks: Hooks, logits: Tensor, batch: Mixed) -> float:
    assert hooks.loss is not None
    return hooks.loss(logits, batch).item()
