"""Whole fits of simulated images with trials that are no better than the base: few of them claim a gain.

The differences of the losses are normal, and no loss is compared with that of guessing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from service.core.evaluation.outcomes import Outcomes
from service.core.experiments.fits.proof import Claim, Gain, Images, claims, early_claim, gain
from service.core.experiments.fits.state import FitState
from service.core.experiments.statistics import ERROR_RATE
from service.core.records.fit import BASE, Run, Trial
from tests.service.core.experiments.fits.simulated import Simulation, request
from tests.service.core.experiments.fits.test_proof import scored

IMAGES, FOLDS, FITS = 100, 5, 200  # images of a fold
EPOCH = 0.15  # seconds
BUDGETS = ({"minutes": 5.0}, {"jobs": 30})
USED: Mapping[Images, Sequence[int]] = {
    Images.ALL: range(FOLDS),
    Images.OF_FIRST_FOLD: (0,),
    Images.OF_FURTHER_FOLDS: range(1, FOLDS),
}


class Luck:
    """Trials whose losses differ from those of the base by noise, and by `better` nats. A repeat has another fold."""

    def __init__(self, seed: int, better: float = 0.0) -> None:
        self._rng, self._better = np.random.default_rng(seed), better
        self._base = [self._rng.gamma(0.5, 1.0, IMAGES) for _ in range(FOLDS)]
        self.outcomes = cache(self._drawn)

    def _drawn(self, trial: int, fold: int) -> Outcomes:
        noise = 0.0 if trial == BASE else self._rng.normal(-self._better, 0.5, IMAGES)
        return replace(scored(self._base[fold] + noise), index=fold * IMAGES + np.arange(IMAGES))

    def value(self, trial: Trial, repeat: int, is_first_part: bool) -> float:
        loss: float = self.outcomes(trial.number, repeat).loss.mean()
        return loss

    def gain(self, claim: Claim, runs: Sequence[Run]) -> Gain | None:
        """What a claim finds on the images of the repeats that both have."""
        done = {(run.trial, run.repeat) for run in runs if run.value is not None}
        repeats = [repeat for repeat in USED[claim.on] if {(BASE, repeat), (claim.trial, repeat)} <= done]
        pairs = [(self.outcomes(BASE, repeat), self.outcomes(claim.trial, repeat)) for repeat in repeats]
        return gain(claim.trial, pairs, None, "val_loss", claim.looks) if pairs else None

    def proves(self, state: FitState) -> bool:
        """Whether the first fold proves the best trial."""
        claim = early_claim(state)
        found = self.gain(claim, state.runs) if claim else None
        return found is not None and found.is_proved

    def claims_a_gain(self, budget: Mapping[str, float], looks: int | None = None) -> bool:
        """Whether a fit claims a gain. `looks`, if given, replaces the number of looks of each test."""
        asked = request(folds=FOLDS, **budget)
        runs = Simulation(asked, self.value, lambda trial, repeat: EPOCH, proves=self.proves).run().state.runs
        found = [self.gain(replace(claim, looks=looks or claim.looks), runs) for claim in claims(asked, runs)]
        return any(each is not None and each.is_proved for each in found)


def share(budget: Mapping[str, float], better: float = 0.0, fits: int = FITS, looks: int | None = None) -> float:
    """Of fits that claim a gain."""
    return sum(Luck(seed, better).claims_a_gain(budget, looks) for seed in range(fits)) / fits


@pytest.mark.parametrize("budget", BUDGETS)
def test_few_fits_without_a_better_trial_claim_a_gain(budget: Mapping[str, float]) -> None:
    assert share(budget) <= ERROR_RATE


def test_without_the_correction_many_fits_would_claim_one() -> None:
    assert share(BUDGETS[0], looks=1) > 2 * ERROR_RATE


@pytest.mark.parametrize("budget", BUDGETS)
def test_most_fits_with_better_trials_claim_a_gain(budget: Mapping[str, float]) -> None:
    assert share(budget, better=0.2, fits=20) >= 0.9
