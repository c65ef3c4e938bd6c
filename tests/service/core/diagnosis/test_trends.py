"""The test of Mann and Kendall, compared with SciPy's."""

import random

import pytest
from scipy import stats

from service.core.diagnosis.trends import falling_chance, rising_chance


@pytest.mark.parametrize("count", [2, 3, 5, 8, 12])
def test_the_chance_of_few_values_is_exact(count: int) -> None:
    r = random.Random(count)
    for _ in range(20):
        values = [r.random() + 0.1 * i for i in range(count)]
        oracle = stats.kendalltau(range(count), values, alternative="greater", method="exact")
        assert rising_chance(values) == pytest.approx(oracle.pvalue)


@pytest.mark.parametrize("slope", [-0.02, 0.0, 0.01, 0.02])
def test_the_chance_of_many_values_is_nearly_normal(slope: float) -> None:
    r = random.Random(5)
    values = [round(slope * i + r.random(), 1) for i in range(40)]  # with ties
    oracle = stats.kendalltau(range(40), values, alternative="greater")
    assert rising_chance(values) == pytest.approx(oracle.pvalue, rel=0.1, abs=0.01)


def test_constant_and_missing_values_have_no_trend() -> None:
    assert rising_chance([]) == rising_chance([1.0]) == rising_chance([1.0] * 50) == 1
    assert rising_chance([1.0] * 5) > 0.5


def test_a_trend_in_thousands_of_epochs_is_seen() -> None:
    r = random.Random(6)
    noisy = [1e-4 * i + r.gauss(0, 1) for i in range(10_000)]
    assert rising_chance(noisy) < 0.01 < falling_chance(noisy)
