"""The statistics of ablations: right quantiles, effects that are detected, and noise that is not."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from service.core.experiments.statistics import ERROR_RATE, Verdict, effect, t_quantile

LEVELS = (0.0, 0.1, 0.5, 0.8, 0.9, 0.95, 0.975, 0.99, 1 - 0.05 / 9, 0.999)


@pytest.mark.parametrize("degrees", [*range(1, 40), 99, 100, 1000, 1001])
def test_quantiles_are_those_of_scipy(degrees: int) -> None:
    for level in LEVELS:
        expected = stats.t.ppf((1 + level) / 2, degrees)
        assert t_quantile(level, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.floats(0.0, 0.9999), st.integers(1, 60))
def test_a_quantile_encloses_its_share_of_the_distribution(level: float, degrees: int) -> None:
    t = t_quantile(level, degrees)
    assert 1 - 2 * stats.t.sf(t, degrees) == pytest.approx(level, abs=1e-9)


def noisy(
    chance: random.Random, seeds: int, mean: float, spread: float, common: Mapping[int, float]
) -> dict[int, float]:
    return {seed: common[seed] + chance.gauss(mean, spread) for seed in range(seeds)}


def common(chance: random.Random, seeds: int) -> dict[int, float]:
    """The part of the losses that a seed's split adds to all arms."""
    return {seed: chance.uniform(0.3, 0.9) for seed in range(seeds)}


def test_the_interval_is_that_of_scipy_s_paired_test() -> None:
    chance = random.Random(1)
    shared = common(chance, 7)
    base, arm = noisy(chance, 7, 0.0, 0.02, shared), noisy(chance, 7, -0.03, 0.02, shared)
    expected = stats.ttest_rel(list(arm.values()), list(base.values())).confidence_interval(1 - ERROR_RATE / 4)
    measured = effect(base, arm, 4)
    assert measured.interval == pytest.approx((expected.low, expected.high))
    assert measured.mean == pytest.approx((expected.low + expected.high) / 2)
    assert measured.relative == pytest.approx((expected.low + expected.high) / 2 / (sum(base.values()) / 7))


def test_a_known_effect_is_found_among_larger_seed_differences() -> None:
    chance = random.Random(2)
    shared = common(chance, 6)
    base = noisy(chance, 6, 0.0, 0.01, shared)
    better = effect(base, noisy(chance, 6, -0.1, 0.01, shared), 9)
    worse = effect(base, noisy(chance, 6, 0.1, 0.01, shared), 9)
    assert (better.verdict, worse.verdict) == (Verdict.LOWERS, Verdict.RAISES)
    assert better.mean == pytest.approx(-0.1, abs=0.03)


@pytest.mark.parametrize(("seeds", "arms"), [(2, 1), (3, 4), (5, 2)])
def test_noise_is_significant_in_at_most_5_percent_of_ablations(seeds: int, arms: int) -> None:
    chance, trials, wrong = random.Random(3), 2000, 0
    for _ in range(trials):
        shared = common(chance, seeds)
        base = noisy(chance, seeds, 0.0, 0.05, shared)
        effects = [effect(base, noisy(chance, seeds, 0.0, 0.05, shared), arms) for _ in range(arms)]
        wrong += any(each.is_significant for each in effects)
    limit = ERROR_RATE * trials + 3 * (ERROR_RATE * (1 - ERROR_RATE) * trials) ** 0.5
    assert wrong < limit
    assert wrong > 0.3 * ERROR_RATE * trials, "a test that never finds anything would pass too"


def test_only_seeds_with_both_results_are_compared() -> None:
    measured = effect({1: 0.5, 2: 0.6, 3: 0.7}, {2: 0.5, 3: 0.61, 4: 9.0}, 1)
    assert measured.pairs == 2
    assert measured.mean == pytest.approx(-0.095)
    one = effect({1: 0.5}, {1: 0.4}, 1)
    assert (one.pairs, one.interval, one.verdict, one.is_significant) == (1, None, Verdict.UNKNOWN, False)
    assert one.mean == pytest.approx(-0.1)
    none = effect({1: 0.5}, {2: 0.4}, 1)
    assert (none.pairs, none.mean, none.relative, none.interval) == (0, None, None, None)


def test_runs_that_are_alike_have_no_effect() -> None:
    measured = effect({1: 0.5, 2: 0.6}, {1: 0.5, 2: 0.6}, 1)
    assert (measured.mean, measured.interval, measured.verdict) == (0.0, (0.0, 0.0), Verdict.NONE)


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 1e6)), st.dictionaries(st.integers(0, 9), st.floats(0, 1e6)))
def test_an_effect_is_in_its_interval_and_flips_with_its_arms(base: dict[int, float], arm: dict[int, float]) -> None:
    there, back = effect(base, arm, 3), effect(arm, base, 3)
    assert there.pairs == back.pairs == len(base.keys() & arm.keys())
    if there.interval and there.mean is not None and back.interval and back.mean is not None:
        assert there.interval[0] <= there.mean <= there.interval[1]
        assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
        assert there.is_significant == back.is_significant
