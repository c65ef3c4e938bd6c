"""Intervals of means hold the true mean as often as they say, also for skewed values."""

import numpy as np
import pytest

from service.core.evaluation.intervals import Floats, mean_interval


def losses(rng: np.random.Generator, images: int) -> Floats:
    """Like the losses of a classifier: small ones for most images, large ones for the mistakes."""
    is_wrong = rng.random(images) < 0.05
    return np.where(is_wrong, rng.gamma(2.0, 1.0, images), np.exp(rng.normal(-5, 1.5, images)))


@pytest.mark.parametrize("images", [100, 359])
def test_the_interval_of_a_loss_holds_the_true_one(images: int) -> None:
    rng = np.random.default_rng(0)
    true = losses(rng, 1_000_000).mean()
    found = [mean_interval(losses(rng, images)) for _ in range(200)]
    assert sum(low <= true <= high for low, high in found) / len(found) >= 0.93


def test_many_values_have_the_normal_interval() -> None:
    values = losses(np.random.default_rng(1), 5_000)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert mean_interval(values) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)


def test_equal_values_have_an_interval_without_width() -> None:
    assert mean_interval(np.full(10, 0.5)) == (0.5, 0.5)
