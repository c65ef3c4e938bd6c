"""The properties of dropout: its rate, its mean, independence, gradient and memory layout."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.training.regularization.dropout import Dropout, dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_dropout_drops_with_its_probability_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400, 1000)
    y = dropout(x, p)
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=0.003)
    assert torch.unique(y[y != 0]).tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)
    assert y.mean().item() == pytest.approx(1, abs=0.02)


def test_values_are_dropped_independently_of_each_other() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(20_000, 16), 0.5) != 0).double()
    correlation = torch.corrcoef(kept.T) - torch.eye(16)
    assert correlation.abs().max().item() < 0.04


def test_the_gradient_passes_where_the_value_passed() -> None:
    x = torch.randn(50, 50, requires_grad=True)
    y = dropout(x, 0.3)
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_any_shape_and_layout_comes_back_as_it_was(shape: list[int], turned: bool, channels_last: bool) -> None:
    x = torch.ones(shape)
    if turned:
        x = x.transpose(0, -1)
    if channels_last and x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    y = dropout(x, 0.5)
    assert y.shape == x.shape
    assert set(torch.unique(y).tolist()) <= {0.0, 2.0}


def test_a_layout_in_channels_last_is_kept() -> None:
    x = torch.ones(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    assert dropout(x, 0.5).is_contiguous(memory_format=torch.channels_last)


def test_a_probability_just_below_one_still_has_finite_values() -> None:
    assert torch.isfinite(dropout(torch.ones(1000), 0.9999999)).all()


def test_dropout_depends_on_the_global_seed() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return dropout(torch.ones(100), 0.5)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_dropout_in_eval_mode_or_at_zero_is_the_identity() -> None:
    x = torch.randn(3, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    assert (Dropout(0.9).train()(torch.ones(1000)) == 0).any()
