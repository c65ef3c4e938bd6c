"""What the results of a fit prove: which trial is kept, and how much better than the base it is.

The best of many trials looks better than it is. So its interval has the confidence 1 - ERROR_RATE / looks, with one
look for each trial that was compared with the base: Bonferroni's correction (Dunn, "Multiple Comparisons Among Means",
1961). Then the probability that any interval misses its true difference is at most ERROR_RATE. Where leaders are
repeated on further folds, only the images of these folds count: they have not chosen the leaders, so that there are as
many looks as leaders.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from service.core.evaluation.by_image import ByImage, by_image, errors_by_image
from service.core.evaluation.outcomes import Outcomes
from service.core.experiments.fits.state import mean_values, rivals
from service.core.experiments.statistics import ERROR_RATE
from service.core.records.fit import BASE, Run
from service.core.spec.parts import LOSSES, Monitor

Pair = tuple[Outcomes, Outcomes]


@dataclass(frozen=True)
class Gain:
    """A trial minus the base on the same validation images, negative is better: of the mean loss in nats, or of the
    share of wrong guesses if the objective is no loss.

    `looks` trials were compared with the base. `beats_guessing`: its loss is lower than that of guessing by the shares
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


def looks(runs: Sequence[Run]) -> int:
    """The number of trials that were compared on the validation images, the paused ones included; at least 1."""
    return _rivals(runs, 0)


def fresh_looks(runs: Sequence[Run]) -> int:
    """The number of trials that were compared on further folds, whose images have not chosen them; at least 1."""
    return _rivals(runs, 1)


def _rivals(runs: Sequence[Run], repeat: int) -> int:
    return max(1, len({run.trial for run in runs if run.repeat == repeat and run.value is not None} - {BASE}))


def gain(trial: int, pairs: Sequence[Pair], guessing: float | None, objective: Monitor, looked: int) -> Gain | None:
    """The gain of a trial over the base from the `pairs` (base, trial) of their trainings; None if it is not known.

    `guessing` is the loss of a guess by the shares of the classes, None if unknown.
    """
    level = 1 - ERROR_RATE / looked
    measure = by_image if objective in LOSSES else errors_by_image
    found = measure(pairs, level)
    if found is None:
        return None
    beats = guessing is None or _is_below([own for _, own in pairs], guessing, level)
    return Gain(trial, found.images, looked, found.loss, found.interval, beats)


def on_test(pair: Pair) -> Mapping[str, ByImage | None]:
    """The same two models on the test images, which have chosen nothing: one look, 95 % intervals."""
    return {"loss": by_image([pair]), "error": errors_by_image([pair])}


def _is_below(scored: Sequence[Outcomes], bound: float, level: float) -> bool:
    """Whether the mean loss is below a bound beyond noise, over different images."""
    return all(_upper(each, level) < bound for each in scored)


def _upper(images: Outcomes, level: float) -> float:
    mean, error = float(images.loss.mean()), float(images.loss.std(ddof=1)) / len(images) ** 0.5
    return float(mean + NormalDist().inv_cdf(0.5 + level / 2) * error)
