"""The systems of the comparison that run on a service."""

import pytest

from tests.benchmarks.fits.rightfit import advice, fit
from tests.benchmarks.fits.sets import SETS
from tests.benchmarks.fits.systems import Budget, score


@pytest.mark.long
def test_person_keeps_what_lowers_the_validation_loss() -> None:
    images = SETS["digits"](0)
    answer = advice(images, Budget(minutes=1, seed=0))
    steps = answer.details["steps"]
    losses = [step["val_loss"] for step in steps if step["status"] == "succeeded"]
    assert steps[0]["advice"] is None
    assert len(steps) > 1
    assert answer.val_loss == min(losses)
    assert score(answer.probabilities, images.test_labels).accuracy > 0.8


@pytest.mark.long
def test_fit_answers_with_the_model_that_it_kept() -> None:
    images = SETS["digits"](0)
    answer = fit(images, Budget(minutes=0.5, seed=0))
    assert answer.details["budget"]["spent_jobs"] > 0
    assert answer.details["job"]["dataset"]["test_fraction"] == 0
    assert score(answer.others["ensemble"], images.test_labels).accuracy > 0.8
    assert score(answer.probabilities, images.test_labels).accuracy > 0.8
