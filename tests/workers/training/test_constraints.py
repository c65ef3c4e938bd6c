"""Max norm, gradient clipping, the moving average, class weights and the loss of mixed targets, each against a loop."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.regularization.class_weights import balanced_weights
from workers.training.regularization.cross_entropy import mixed_cross_entropy
from workers.training.regularization.ema import MovingAverage
from workers.training.regularization.gradient_clip import clip_gradients_
from workers.training.regularization.max_norm import max_norm_

SHAPES = [(5, 7), (4, 3, 3, 3), (2, 1, 5)]


def weights(seed: int = 0) -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


@pytest.mark.parametrize("limit", [0.1, 2.5, 4.0])
def test_max_norm_scales_each_unit_that_is_too_long_and_leaves_the_others_bit_for_bit(limit: float) -> None:
    parameters = weights()
    before = [p.detach().clone() for p in parameters]
    max_norm_(parameters, limit)
    for p, old in zip(parameters, before, strict=True):
        for unit, old_unit in zip(p.detach(), old, strict=True):
            norm = math.sqrt(sum(value**2 for value in old_unit.flatten().tolist()))
            if norm <= limit:
                assert torch.equal(unit, old_unit)
            else:
                torch.testing.assert_close(unit, old_unit * (limit / norm))
                assert unit.norm().item() <= limit * (1 + 1e-6)


def test_max_norm_leaves_biases_and_normalization_alone_and_keeps_gradients_and_memory_format() -> None:
    convolution, normalization = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    convolution.to(memory_format=torch.channels_last)
    nn.init.constant_(normalization.weight, 9)
    bias = convolution.bias
    assert bias is not None
    nn.init.constant_(bias, 9)
    convolution.weight.grad = torch.ones_like(convolution.weight)
    pointer = convolution.weight.data_ptr()
    max_norm_([*convolution.parameters(), *normalization.parameters()], 0.1)
    assert convolution.weight.detach().flatten(1).norm(dim=1).tolist() == pytest.approx([0.1] * 4)
    assert bias.tolist() == normalization.weight.tolist() == [9] * 4
    assert convolution.weight.requires_grad
    assert convolution.weight.grad.eq(1).all()
    assert convolution.weight.data_ptr() == pointer
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_scales_all_gradients_by_their_norm(limit: float) -> None:
    parameters = weights()
    for seed, p in enumerate(parameters[:-1]):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed))
    gradients = [p.grad.clone() for p in parameters[:-1] if p.grad is not None]
    values = [value for gradient in gradients for value in gradient.flatten().tolist()]
    norm = math.sqrt(sum(value**2 for value in values))
    clip_gradients_(iter(parameters), limit, torch.tensor(norm))
    for p, gradient in zip(parameters[:-1], gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient * min(1.0, limit / norm))
    assert parameters[-1].grad is None
    if limit > norm:
        assert all(
            torch.equal(p.grad, g) for p, g in zip(parameters[:-1], gradients, strict=True) if p.grad is not None
        )


class Network(nn.Module):
    """With parameters, floating buffers, a count, and one weight that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)
        self.second = nn.Conv2d(1, 3, 3)
        self.second.weight = self.first.weight

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.norm(self.first(images) + self.second(images))
        return out


def step(model: nn.Module, random: torch.Generator) -> None:
    """Move the weights and the statistics as training would."""
    model.train()
    model(torch.randn(4, 1, 6, 6, generator=random))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=random))


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.9, 0.999])
def test_the_average_is_that_of_a_loop_with_its_warm_up(decay: float) -> None:
    torch.manual_seed(0)
    model, random = Network(), torch.Generator().manual_seed(1)
    average = MovingAverage(model, decay)
    expected = {name: value.double() for name, value in model.state_dict().items()}
    for t in range(30):
        step(model, random)
        average.update(model)
        d = min(decay, (1 + t) / (10 + t))
        for name, value in model.state_dict().items():
            expected[name] = d * expected[name] + (1 - d) * value.double() if value.is_floating_point() else value
    for name, value in average.shadow.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name].double(), rtol=1e-5, atol=1e-6)
        assert value.dtype == model.state_dict()[name].dtype
    assert average.shadow.state_dict()["norm.num_batches_tracked"] == 30
    assert average.steps == 30


def test_the_average_shares_no_memory_with_the_model_and_changes_nothing_in_it() -> None:
    model = Network()
    model.norm.weight.grad = torch.ones(3)
    average = MovingAverage(model, 0.9)
    before = copy.deepcopy(model.state_dict())
    average.update(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    mine = {value.data_ptr() for value in model.state_dict().values()}
    assert mine.isdisjoint(value.data_ptr() for value in average.shadow.state_dict().values())
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in average.shadow.parameters())
    assert isinstance(average.shadow, Network)
    assert average.shadow.first.weight is average.shadow.second.weight


def test_a_model_without_counts_is_averaged_too() -> None:
    model = nn.Linear(2, 2)
    average = MovingAverage(model, 0.0)
    with torch.no_grad():
        model.weight.add_(1)
    average.update(model)
    assert torch.equal(average.shadow.state_dict()["weight"], model.weight)


def test_an_average_that_was_saved_and_loaded_goes_on_exactly() -> None:
    torch.manual_seed(0)
    model, random = Network(), torch.Generator().manual_seed(1)
    whole = MovingAverage(model, 0.99)
    for _ in range(5):
        step(model, random)
        whole.update(model)
    state = copy.deepcopy(whole.state_dict())
    loaded = MovingAverage(Network(), 0.99)
    loaded.load_state_dict(state)
    for _ in range(5):
        step(model, random)
        whole.update(model)
        loaded.update(model)
    assert loaded.steps == whole.steps == 10
    others = loaded.shadow.state_dict()
    assert all(torch.equal(value, others[name]) for name, value in whole.shadow.state_dict().items())


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_balanced_weights_are_those_of_scikit_learn_and_have_mean_one_over_the_images(labels: list[int]) -> None:
    found = balanced_weights(torch.tensor(labels), 6)
    present = sorted(set(labels))
    expected = torch.zeros(6, dtype=torch.float64)
    expected[present] = torch.from_numpy(compute_class_weight("balanced", classes=np.array(present), y=labels))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    assert found[labels].double().mean().item() == pytest.approx(1, rel=1e-6)


def logits_and_labels(n: int = 12, classes: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(4)
    logits = torch.randn(n, classes, generator=random) * 3
    labels, others = torch.randint(classes, (2, n), generator=random)
    return logits, labels, others, torch.rand(classes, generator=random) + 0.5


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_mean_over_the_images_of_the_weighted_smoothed_mixture(
    share: float, smoothing: float, weighted: bool
) -> None:
    logits, labels, others, class_weights = logits_and_labels()
    given_weights = class_weights if weighted else None
    loss = mixed_cross_entropy(logits, labels, others, share, smoothing, given_weights)
    total = 0.0
    for row, label, other in zip(logits.double().tolist(), labels.tolist(), others.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(value) for value in row))
        for c, value in enumerate(row):
            hard = share * (c == label) + (1 - share) * (c == other)
            target = (1 - smoothing) * hard + smoothing / len(row)
            total += (class_weights[c].item() if weighted else 1.0) * target * (log_sum - value)
    assert loss.item() == pytest.approx(total / len(logits), rel=1e-5)


def test_with_nothing_on_the_loss_is_plain_cross_entropy_bit_for_bit() -> None:
    logits, labels, _, _ = logits_and_labels()
    never_looked_at = torch.full_like(labels, 99)
    assert torch.equal(mixed_cross_entropy(logits, labels, never_looked_at), F.cross_entropy(logits, labels))


def test_the_gradient_of_the_loss_is_softmax_less_target() -> None:
    logits, labels, others, _ = logits_and_labels()
    logits.requires_grad_()
    mixed_cross_entropy(logits, labels, others, 0.3).backward()  # type: ignore[no-untyped-call]
    target = 0.3 * F.one_hot(labels, 5) + 0.7 * F.one_hot(others, 5)
    torch.testing.assert_close(logits.grad, (logits.detach().softmax(1) - target) / len(logits))
