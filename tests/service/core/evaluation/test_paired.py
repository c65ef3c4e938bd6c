"""Paired comparisons against SciPy, and the levels that they promise."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import binomtest, norm, ttest_rel

from service.core.evaluation.outcomes import Outcomes, outcomes
from service.core.evaluation.paired import Paired, exact_p_value, images_needed, paired
from service.core.evaluation.predictions import Predictions
from tests.service.drawn import drawn


def disturbed(predictions: Predictions, scale: float, seed: int = 1) -> Predictions:
    """Another model on the same images, in another order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(predictions))
    noise = rng.normal(0, scale, predictions.logits.shape).astype(np.float32)
    mixed = replace(predictions, logits=predictions.logits + noise)
    return Predictions(*(column[order] for column in vars(mixed).values()))


def compared(first: Predictions, second: Predictions) -> Paired:
    found = paired(outcomes(first), outcomes(second))
    assert found is not None
    return found


def test_losses_are_paired_by_image_as_a_paired_t_test_does() -> None:
    first = drawn(500)
    second = disturbed(first, 1.0)
    found = compared(first, second)
    by_index = [each.logits[np.argsort(each.index)].astype(np.float64) for each in (first, second)]
    label = first.label[np.argsort(first.index)]
    one, other = (-log_softmax(logits, axis=1)[np.arange(500), label] for logits in by_index)
    test = ttest_rel(other, one)
    assert found.images == 500
    assert found.loss == pytest.approx(np.mean(other - one))
    assert found.loss / found.standard_error == pytest.approx(test.statistic)
    half = norm.ppf(0.975) * found.standard_error
    assert found.interval == pytest.approx((found.loss - half, found.loss + half))
    right = [logits.argmax(axis=1) == label for logits in by_index]
    assert (found.mcnemar.gained, found.mcnemar.lost) == ((right[1] & ~right[0]).sum(), (right[0] & ~right[1]).sum())
    differences = right[1].astype(float) - right[0]
    assert found.accuracy == pytest.approx(differences.mean())
    assert found.accuracy_standard_error == pytest.approx(differences.std() / math.sqrt(500))


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (0, 1), (1, 1), (3, 12), (9, 0), (40, 41), (900, 1_100), (0, 2_000)]
)
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert exact_p_value(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_other_images_or_labels_are_not_paired() -> None:
    first = outcomes(drawn(50))
    assert paired(first, outcomes(drawn(49))) is None
    assert paired(first, replace(first, index=first.index + 1)) is None
    assert paired(first, replace(first, label=(first.label + 1) % 4)) is None
    assert paired(outcomes(drawn(1)), outcomes(drawn(1))) is None


def test_a_model_equals_itself() -> None:
    found = compared(drawn(50), drawn(50))
    assert (found.loss, found.interval, found.accuracy, found.mcnemar.p_value) == (0, (0, 0), 0, 1)
    assert images_needed(found.images, found.loss, found.standard_error) is None


def columns(gained: int, lost: int, images: int) -> tuple[Outcomes, Outcomes]:
    """Outcomes of two models: the first images are gained by the second model, the next ones lost, the others wrong."""
    first = outcomes(drawn(images, classes=2))
    wrong, right = 1 - first.label, first.label
    places = np.arange(images)
    was_right = (places >= gained) & (places < gained + lost)
    return (
        replace(first, guess=np.where(was_right, right, wrong)),
        replace(first, guess=np.where(places < gained, right, wrong)),
    )


def test_the_interval_of_accuracy_is_that_of_bonett_and_price() -> None:
    found = paired(*columns(12, 3, 48))
    assert found is not None
    p12, p21 = 13 / 50, 4 / 50
    half = norm.ppf(0.975) * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / 50)
    assert found.accuracy == pytest.approx(9 / 48)
    assert found.accuracy_interval == pytest.approx((p12 - p21 - half, p12 - p21 + half))
    assert found.mcnemar.p_value == pytest.approx(binomtest(3, 15).pvalue)


def rows_of(scored: Outcomes, rows: np.ndarray) -> Outcomes:
    return Outcomes(*(column[rows] for column in vars(scored).values()))


def test_intervals_hold_the_true_difference_19_times_in_20() -> None:
    population = drawn(40_000)
    worse = disturbed(population, 1.0)
    truth = compared(population, worse)
    one, other = outcomes(population), outcomes(worse)
    order = np.argsort(one.index), np.argsort(other.index)
    rng, held = np.random.default_rng(3), {"loss": 0, "accuracy": 0}
    for _ in range(300):
        rows = rng.choice(40_000, 200, replace=False)
        first, second = (rows_of(each, by[rows]) for each, by in zip((one, other), order, strict=True))
        found = paired(first, second)
        assert found is not None
        held["loss"] += found.interval[0] < truth.loss < found.interval[1]
        held["accuracy"] += found.accuracy_interval[0] < truth.accuracy < found.accuracy_interval[1]
    assert all(0.92 * 300 <= count <= 0.985 * 300 for count in held.values()), held


def test_the_needed_images_prove_a_difference_four_times_in_five() -> None:
    difference, spread = -0.1, 1.3
    needed = images_needed(48, difference, spread / math.sqrt(48))
    assert needed is not None
    error = spread / math.sqrt(needed)
    power = norm.cdf(-norm.ppf(0.975) - difference / error) + norm.cdf(-norm.ppf(0.975) + difference / error)
    assert power == pytest.approx(0.8, abs=1e-3)
