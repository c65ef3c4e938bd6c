"""What the results of a fit prove: which trial is kept, and how much better than the base it is.

The best of many trials looks better than it is. So that a trial that is not better is kept with a probability of at
most ERROR_RATE, whatever the number of trials, there are two kinds of tests:

- Each trial on its images, at the rate divided by the looks, one for each trial that was compared with the base:
  Bonferroni's correction (Dunn, "Multiple Comparisons Among Means", 1961).
- Where leaders are repeated on further folds, each of them on the images of these folds, which have not chosen the
  leaders. They share the rate: the best one by the first trainings gets half of it, the next one a quarter, and so on
  (a weighted Bonferroni test: Rosenthal and Rubin, "Ensemble-adjusted p values", Psychological Bulletin 94, 1983). In
  simulations, this keeps better trials than tests in a fixed sequence, which end at the first failure.

With a budget of minutes and folds, each kind gets half of ERROR_RATE, and the first kind uses the first fold alone: the
finals repeat less where it has proved a gain already. With a budget of jobs and folds, all of the rate is for the
second kind once there are repeats.

A trial is better where its two-sided interval lies below 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

from service.core.evaluation.by_image import by_image, errors_by_image
from service.core.evaluation.outcomes import Floats, Outcomes
from service.core.experiments.fits.finals import REFINED, may_be_near
from service.core.experiments.fits.state import FitState, mean_values, rivals, whole_values
from service.core.experiments.statistics import ERROR_RATE
from service.core.records.fit import BASE, Run
from service.core.records.fit_request import FitRequest
from service.core.spec.parts import LOSSES, Monitor

Pair = tuple[Outcomes, Outcomes]


@dataclass(frozen=True)
class Gain:
    """A trial minus the base on the same validation images, negative is better: of the mean loss in nats, or of the
    share of wrong guesses if the objective is no loss.

    The interval has the confidence 1 - ERROR_RATE / `looks`.
    `beats_guessing`: it is better than guessing by the shares
    of the classes, beyond noise with the same correction.
    """

    trial: int
    images: int
    looks: int
    difference: float
    interval: tuple[float, float]
    beats_guessing: bool

    @property
    def is_proved(self) -> bool:
        return self.interval[1] < 0 and self.beats_guessing


def candidates(runs: Sequence[Run]) -> Iterator[int]:
    """The trials that may be kept: those with the most repeats first, among equals the better mean first."""
    most = max((run.repeat for run in runs), default=0)
    for repeats in range(most, -1, -1):
        fewer = set(rivals(mean_values(runs, repeats + 1)))
        yield from (trial for trial in rivals(mean_values(runs, repeats)) if trial not in fewer)


class Images(Enum):
    """The validation images that a test uses, of those that the trainings of a trial were scored on."""

    ALL = "all"
    OF_FIRST_FOLD = "of the first fold"
    OF_FURTHER_FOLDS = "of further folds"


@dataclass(frozen=True)
class Claim:
    """That a trial is better, to be tested at ERROR_RATE / `looks` on some of its validation images."""

    trial: int
    looks: int
    on: Images


def claims(request: FitRequest, runs: Sequence[Run]) -> list[Claim]:
    """What an ended fit tests: on further folds first, then the most promising trial first."""
    shares = shared_looks(runs) if request.folds else {}
    kinds = kinds_of_tests(request)
    of_leaders = [Claim(trial, kinds * looked, Images.OF_FURTHER_FOLDS) for trial, looked in shares.items()]
    if shares and kinds == 1:
        return of_leaders
    on = Images.ALL if kinds == 1 else Images.OF_FIRST_FOLD
    return of_leaders + [Claim(trial, kinds * looks(runs), on) for trial in candidates(runs)]


def early_claim(state: FitState) -> Claim | None:
    """That the best trial so far is better, by the first trainings, with the looks of the refined leaders to come. None
    where it does not matter: without folds, and far from the begin of the finals.
    """
    best = rivals(whole_values(state.runs))[:1]
    if not best or state.finals or not state.request.folds or not may_be_near(state):
        return None
    looked = kinds_of_tests(state.request) * (len(state.trials) - 1 + REFINED)
    return Claim(best[0], looked, Images.OF_FIRST_FOLD)


def kinds_of_tests(request: FitRequest) -> int:
    """How many kinds of tests share ERROR_RATE."""
    return 2 if request.folds and request.minutes is not None else 1


def looks(runs: Sequence[Run]) -> int:
    """The number of trials that were compared on the validation images, the paused ones included; at least 1."""
    return max(1, len({run.trial for run in runs if run.value is not None} - {BASE}))


def shared_looks(runs: Sequence[Run]) -> dict[int, int]:
    """The trials that were repeated, the best one by the first training first, and by which number ERROR_RATE is
    divided for each of them: 2, 4, 8, … with the last one like the one before. A single one has all of it.
    """
    repeated = {run.trial for run in runs if run.repeat and run.value is not None}
    leaders = [trial for trial in rivals(whole_values(runs)) if trial in repeated]
    return {trial: 1 << min(place, len(leaders) - 1) for place, trial in enumerate(leaders, 1)}


def gain(trial: int, pairs: Sequence[Pair], guessing: float | None, objective: Monitor, looked: int) -> Gain | None:
    """The gain of a trial over the base from the `pairs` (base, trial) of their trainings; None if it is not known.

    `guessing` is the loss of a guess by the shares of the classes, or the share of wrong ones of such guesses if the
    objective is no loss; None if unknown.
    """
    level = 1 - ERROR_RATE / looked
    is_loss = objective in LOSSES
    found = by_image(pairs, level) if is_loss else errors_by_image(pairs, level)
    if found is None:
        return None
    values = [own.loss if is_loss else (~own.is_right).astype(float) for _, own in pairs]
    beats = guessing is None or all(_upper(each, level) < guessing for each in values)
    return Gain(trial, found.images, looked, found.loss, found.interval, beats)


def _upper(values: Floats, level: float) -> float:
    """The upper end of the normal interval of a mean."""
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean() + NormalDist().inv_cdf(0.5 + level / 2) * error)
