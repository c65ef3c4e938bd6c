"""Forecasts of a falling series, against series whose continuation is known."""

import math

import pytest

from service.core.diagnosis.forecasts import decaying, slowing


def test_a_decay_in_a_fixed_ratio_is_forecast() -> None:
    values = [1 + math.exp(-i / 15) for i in range(30)]
    later = [1 + math.exp(-i / 15) for i in range(60)]
    assert decaying(values) == pytest.approx(later[24] - later[54], rel=0.1)  # from the middle of the last third


def test_a_fall_with_the_logarithm_of_time_is_forecast() -> None:
    values = [3 - 0.4 * math.log(i + 1) for i in range(40)]
    assert slowing(values) == pytest.approx(0.4 * math.log(2))


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [2.0, 1.5, 1.2, 1.2, 1.2, 1.2]])
def test_what_has_stopped_or_rises_does_not_fall(values: list[float]) -> None:
    assert decaying(values) == 0


def test_a_rise_is_no_fall() -> None:
    assert slowing([1.0, 1.1, 1.2, 1.3, 1.4, 1.5]) == 0
