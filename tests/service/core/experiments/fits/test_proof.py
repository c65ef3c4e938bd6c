"""What fits prove, on simulated images: no gain is claimed by chance, and intervals hold what they say."""

import numpy as np
import pytest

from service.core.evaluation.outcomes import Outcomes
from service.core.experiments.fits.proof import Claim, Images, candidates, claims, gain, looks, shared_looks
from service.core.records.fit import Run
from tests.service.core.experiments.fits.simulated import request

IMAGES, CLASSES, TRIALS = 300, 10, 12


def scored(losses: np.ndarray) -> Outcomes:
    """Images with these losses; a guess is right if its loss is low."""
    label = np.arange(len(losses)) % CLASSES
    guess = np.where(losses < 0.7, label, (label + 1) % CLASSES)
    ones = np.ones(len(losses))
    return Outcomes(np.arange(len(losses)), label, guess, losses, ones, ones, losses, ones)


def luckiest(rng: np.random.Generator, better: float, looked: int = TRIALS) -> tuple[Outcomes, Outcomes]:
    """The base and the best of many trials, all of which are truly better than the base by `better` nats."""
    base = rng.gamma(0.5, 1.0, IMAGES)
    trials = [base + rng.normal(-better, 0.5, IMAGES) for _ in range(looked)]
    best = min(trials, key=lambda losses: losses.mean())
    return scored(base), scored(best)


def test_the_luckiest_of_equal_trials_is_rarely_called_better() -> None:
    rng = np.random.default_rng(0)
    made = [gain(2, [luckiest(rng, 0.0)], None, "val_loss", TRIALS) for _ in range(400)]
    assert sum(found is not None and found.is_proved for found in made) / len(made) <= 0.05


def test_without_the_correction_luck_would_be_called_better() -> None:
    rng = np.random.default_rng(0)
    made = [gain(2, [luckiest(rng, 0.0)], None, "val_loss", 1) for _ in range(400)]
    assert sum(found is not None and found.is_proved for found in made) / len(made) > 0.15


def test_a_clear_gain_is_proved_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(1)
    found = [gain(2, [luckiest(rng, 0.3)], None, "val_loss", TRIALS) for _ in range(200)]
    assert all(each is not None and each.is_proved for each in found)
    held = [each is not None and each.interval[0] <= -0.3 <= each.interval[1] for each in found]
    assert sum(held) / len(held) >= 0.95


@pytest.mark.parametrize("guessing", [1.0, 5.0])
def test_a_gain_needs_a_model_that_beats_guessing(guessing: float) -> None:
    rng = np.random.default_rng(2)
    base, best = scored(np.full(IMAGES, 3.0) + rng.normal(0, 0.1, IMAGES)), scored(np.full(IMAGES, 2.0))
    found = gain(2, [(base, best)], guessing, "val_loss", 1)
    assert found is not None
    assert found.is_proved is (guessing == 5.0)


def test_accuracies_are_compared_by_their_wrong_guesses() -> None:
    base = scored(np.where(np.arange(IMAGES) < 100, 2.0, 0.1))
    best = scored(np.where(np.arange(IMAGES) < 40, 9.0, 0.1))
    found = gain(2, [(base, best)], None, "val_accuracy", 1)
    assert found is not None
    assert found.difference == pytest.approx(-60 / IMAGES)
    assert found.is_proved


def test_models_on_other_images_are_not_compared() -> None:
    base, best = scored(np.ones(IMAGES)), scored(np.ones(IMAGES - 1))
    assert gain(2, [(base, best)], None, "val_loss", 1) is None


def test_trials_with_more_repeats_come_first() -> None:
    runs = [
        Run(1, 0, is_first_part=False, is_done=True, value=0.9),
        *(
            Run(trial, 0, is_first_part=False, is_done=True, value=value)
            for trial, value in ((2, 0.5), (3, 0.1), (4, 0.4))
        ),
        *(Run(trial, 1, is_first_part=False, is_done=True, value=value) for trial, value in ((2, 0.5), (4, 0.5))),
        Run(5, 0, is_first_part=True, is_done=True, value=0.05),
    ]
    assert list(candidates(runs)) == [4, 2, 3]
    assert looks(runs) == 4


def test_repeated_trials_share_the_error_rate() -> None:
    runs = [
        *(
            Run(trial, 0, is_first_part=False, is_done=True, value=value)
            for trial, value in ((1, 0.9), (2, 0.2), (3, 0.1), (5, 0.3))
        ),
        Run(4, 0, is_first_part=False, is_done=True, value=0.05),
        *(Run(trial, 1, is_first_part=False, is_done=True, value=value) for trial, value in ((1, 0.9), (3, 0.2))),
    ]
    assert shared_looks(runs) == {3: 1}, "neither the base nor a trial that was not repeated"
    runs += [Run(trial, 1, is_first_part=False, is_done=True, value=0.3) for trial in (2, 5)]
    assert list(shared_looks(runs).items()) == [(3, 2), (2, 4), (5, 4)], "the best one by the first runs comes first"


def test_with_minutes_and_folds_two_kinds_of_tests_share_it() -> None:
    runs = [
        *(
            Run(trial, 0, is_first_part=False, is_done=True, value=value)
            for trial, value in ((1, 0.9), (2, 0.2), (3, 0.1))
        ),
        *(Run(trial, 1, is_first_part=False, is_done=True, value=value) for trial, value in ((1, 0.9), (3, 0.2))),
    ]
    assert claims(request(jobs=5, folds=5), runs) == [Claim(3, 1, Images.OF_FURTHER_FOLDS)]
    assert claims(request(jobs=5), runs) == [Claim(trial, 2, Images.ALL) for trial in (3, 2)]
    both = claims(request(minutes=5.0, folds=5), runs)
    on_first = [Claim(trial, 4, Images.OF_FIRST_FOLD) for trial in (3, 2)]
    assert both == [Claim(3, 2, Images.OF_FURTHER_FOLDS), *on_first]
    assert sum(1 / each.looks for each in both) <= 1
