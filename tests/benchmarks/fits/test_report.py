"""The figures of the comparison: scores, ratios over common seeds, and the table."""

import math

import numpy as np
import pytest

from tests.benchmarks.fits.report import Outcome, loss_ratio, markdown
from tests.benchmarks.fits.systems import Score, score

ABOUT = {"device": "a machine", "date": "2026-11-30", "torch": "2", "python": "3", "minutes": 5.0}


def outcome(system: str, seed: int, loss: float, accuracy: float = 0.9) -> Outcome:
    return Outcome(system, "digits", seed, Score(loss, accuracy), loss / 2, 0.1, {})


def test_score_is_mean_cross_entropy_and_accuracy() -> None:
    probabilities = np.array([[0.5, 0.5, 0.0], [0.1, 0.8, 0.1], [1.0, 0.0, 0.0]], np.float32)
    scored = score(probabilities, np.array([0, 1, 0]))
    assert scored.loss == pytest.approx((math.log(2) - math.log(0.8)) / 3)
    assert scored.accuracy == 1.0


def test_sure_and_wrong_answer_has_a_finite_loss() -> None:
    scored = score(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert scored.accuracy == 0.0
    assert math.isfinite(scored.loss)


def test_ratio_takes_the_seeds_that_both_have() -> None:
    ours = [outcome("rightfit", 0, 0.1), outcome("rightfit", 1, 0.3)]
    theirs = [outcome("optuna", 1, 0.6), outcome("optuna", 2, 9.0)]
    assert loss_ratio(ours, theirs) == pytest.approx(0.5)
    assert loss_ratio(ours, theirs[1:]) is None


def test_table_has_means_over_the_seeds_and_ratios() -> None:
    runs = [
        outcome("rightfit", 0, 0.1),
        outcome("rightfit", 1, 0.2),
        outcome("optuna", 0, 0.2),
        outcome("optuna", 1, 0.4),
    ]
    text = markdown(ABOUT, runs, ["advice on digits, seed 0: it failed"])
    assert "| digits | rightfit | 2 | 0.1500 ± 0.0707 | 90.00% ± 0.00% | 0.0750 ± 0.0354 | 1.000 |" in text
    assert "| digits | optuna | 2 | 0.3000 ± 0.1414 | 90.00% ± 0.00% | 0.1500 ± 0.0707 | 0.500 |" in text
    assert "- advice on digits, seed 0: it failed" in text
