"""The runs of world.py and aimed.py, cut at random lengths, with verdicts by rules: from how a run was made, how it
went on, how it does on held-out images, and whether a smaller learning rate helped.

The rules here see what the diagnosis cannot: the epochs after the cut, and with runs of aimed.py further images and a
run with a smaller rate. Levels are means over epochs on both sides of a point, so that noise is taken out, and a fall
or rise counts if it lasts.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, pstdev
from typing import Any

from service.core.diagnosis import Verdict
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from tests.golden import aimed, world
from tests.golden.scoring import Golden, history

CUTS = 4  # of each run, at most: equal ones count once
LEAST, GOES_ON = 4, 0.65  # epochs, and the largest share of a run, that a cut keeps
AIMED = 0.2  # the least share of an aimed run that a cut keeps: what it is aimed at takes a while
FEW_IMAGES = 41
REAL_RISE, REAL_FALL = 0.06, 0.04  # shares of validation loss
GAP, HIGH, JUMPS = 0.08, 0.15, 0.15  # shares of the loss of guessing, and of validation loss
HELPS_TRAIN, HELPS_NEW = 0.1, 0.03  # shares of training loss and of that on new images: a smaller rate helps by both
UNSEEN = 2.0  # standard errors of the validation images: a smaller rise cannot be told from noise
NEAR = 1.6  # a measure that is closer to its threshold than by this factor may count or not


@dataclass(frozen=True)
class Truth:
    """A run up to a cut, seen with its continuation. Losses in nats; `guess` is that of guessing.

    `epochs` are measured on the validation images and on held-out ones, `validated` on the validation images alone.
    `calm` is the same set-up with a smaller rate, None if it was not trained.
    """

    epochs: Sequence[Epoch]
    validated: Sequence[float | None]
    calm: dict[str, list[float | None]] | None
    cut: int
    guess: float
    made: dict[str, Any]
    facts: Facts

    def level(self, name: str, at: int) -> float:
        """The mean of a measure around an index, on both sides."""
        return _mean_around([getattr(e, name) for e in self.epochs], at, self.reach)

    def levels(self, name: str, start: int, end: int) -> list[float]:
        return [self.level(name, at) for at in range(start, end)]

    @cached_property
    def last(self) -> int:
        return self.cut - 1

    @cached_property
    def reach(self) -> int:
        """How many epochs on each side make a level."""
        return max(1, self.cut // 10)

    @cached_property
    def fit(self) -> float:
        return min(self.level("train_loss_clean", self.last), self.level("train_loss", self.last))

    @cached_property
    def val(self) -> float:
        return self.level("val_loss", self.last)

    @cached_property
    def lowest(self) -> float:
        return min(self.levels("val_loss", 0, self.cut))

    @cached_property
    def later(self) -> list[float]:
        """Validation loss in as many epochs again."""
        return self.levels("val_loss", self.cut, min(len(self.epochs), 2 * self.cut)) or [self.val]

    @cached_property
    def gain(self) -> float:
        """By how much the lowest validation loss of as many epochs again is below that up to the cut, in nats.

        Both are the lowest of means over epochs on their own side of the cut, so that neither sees the other.
        """
        before, after = self.epochs[: self.cut], self.epochs[self.cut : 2 * self.cut]
        return _lowest(before, self.reach + 1) - _lowest(after, self.reach + 1) if after else 0.0

    @cached_property
    def jumps(self) -> float:
        """The standard deviation of validation loss about its level, as a share of it."""
        first, reach = self.cut // 2, self.reach
        off = [
            (loss or 0.0) / max(_mean_around(self.validated, at, reach), 1e-9) - 1
            for at, loss in enumerate(self.validated[first : self.cut], first)
        ]
        own = math.sqrt((2 * reach + 1) / (2 * reach))  # each epoch is a part of its own level
        return own * pstdev(off) if len(off) > 1 else 0.0

    @cached_property
    def is_helped(self) -> bool | None:
        """Whether the smaller rate came lower after as many epochs, on training images and on new ones."""
        if self.calm is None:
            return None
        train, new = (_mean_around(self.calm[name], self.last, self.reach) for name in ("train_loss", "loss"))
        clean = self.level("train_loss_clean", self.last)
        return train < (1 - HELPS_TRAIN) * clean and new < (1 - HELPS_NEW) * self.val

    @property
    def error(self) -> float:
        """The standard error of a change of validation loss by the choice of the validation images, in nats."""
        return self.epochs[self.last].val_change_se or 0.0

    @property
    def is_broken(self) -> bool:
        last = self.epochs[self.last]
        if last.train_loss is None or last.val_loss is None:
            return True
        return min(self.fit, last.train_loss) > 4 * max(self.guess, math.log(2))


def _lowest(epochs: Sequence[Epoch], width: int) -> float:
    """The lowest mean of validation loss over `width` epochs in a row."""
    losses = [math.inf if epoch.val_loss is None else epoch.val_loss for epoch in epochs]
    return min(fmean(losses[i : i + width]) for i in range(max(1, len(losses) - width + 1)))


def _mean_around(values: Sequence[float | None], at: int, reach: int) -> float:
    """Infinite if there are none."""
    known = [value for value in values[max(0, at - reach) : at + reach + 1] if value is not None]
    return fmean(known) if known else math.inf


def verdicts(truth: Truth) -> list[Verdict]:
    """The verdicts that are right, the best one first."""
    if truth.is_broken:
        return [Verdict.DIVERGED]
    found = [*_of_data(truth), *_of_curves(truth)]
    if truth.cut < 5:
        found.insert(0, Verdict.TOO_SHORT_TO_TELL)
    if truth.level("train_loss", truth.last) > 1.1 * max(truth.val, truth.fit):
        found.append(Verdict.TRAIN_ABOVE_VALIDATION)
    return list(dict.fromkeys(found))


def _of_data(truth: Truth) -> Iterator[Verdict]:
    if truth.made["copied"]:
        yield Verdict.SUSPECTED_LEAKAGE


def _of_curves(truth: Truth) -> Iterator[Verdict]:
    learnt = min(truth.levels("train_loss", 0, truth.cut)) < 0.8 * truth.guess
    if not learnt and truth.fit > 0.93 * truth.guess:
        yield from _at_chance(truth)
        return
    if truth.jumps > JUMPS * NEAR:
        yield Verdict.NOISY_VALIDATION
    shapes = [*_rises(truth)]
    if truth.facts.images["validation"] < FEW_IMAGES:
        shapes.insert(len(shapes) if shapes else 0, Verdict.SMALL_VALIDATION)
    yield from shapes
    if not shapes or shapes == [Verdict.SMALL_VALIDATION] or Verdict.STAGNANT_GENERALIZATION in shapes:
        yield from _falls_or_stands(truth)
    if truth.jumps > JUMPS / NEAR:
        yield Verdict.NOISY_VALIDATION


def _at_chance(truth: Truth) -> Iterator[Verdict]:
    falls = truth.gain > 0.03 * truth.guess
    yield from (Verdict.STILL_IMPROVING, Verdict.NOT_LEARNING) if falls else (Verdict.NOT_LEARNING,)
    if truth.facts.images["validation"] < FEW_IMAGES:
        yield Verdict.SMALL_VALIDATION
    if max(e.train_loss or 0.0 for e in truth.epochs[: truth.cut]) > 4 * truth.guess:
        yield Verdict.DIVERGED
    yield Verdict.UNDERFITTING


def _rises(truth: Truth) -> Iterator[Verdict]:
    """Verdicts of a validation loss that is above its lowest level and stays there, or above guessing."""
    rise, real = truth.val - truth.lowest, max(REAL_RISE * truth.lowest, 0.015 * truth.guess)
    trains = truth.levels("train_loss", 0, truth.cut)
    train_rise = trains[-1] - min(trains)
    stays = fmean(truth.later) > truth.lowest + real / 2
    is_too_fast = train_rise > 0.5 * rise if truth.is_helped is None else truth.is_helped
    if train_rise > max(0.1 * min(trains), 0.03 * truth.guess) and rise > 0 and is_too_fast:
        yield from (Verdict.UNSTABLE, Verdict.DIVERGED, Verdict.NOISY_VALIDATION, Verdict.UNDERFITTING)
        return
    worse = truth.val > truth.guess and truth.fit < 0.7 * truth.guess
    if not (rise > real and stays) and not worse:
        return
    yield from _more_certain_or_worse(truth)
    if rise < max(NEAR * real, UNSEEN * truth.error) and not worse:
        yield Verdict.STAGNANT_GENERALIZATION


def _more_certain_or_worse(truth: Truth) -> Iterator[Verdict]:
    at = min(range(truth.cut), key=truth.levels("val_loss", 0, truth.cut).__getitem__)
    right, seen = truth.level("val_accuracy", truth.last), truth.level("train_accuracy", truth.last)
    error = math.sqrt(max(right * (1 - right), 0.01) / truth.facts.images["validation"])
    lost, apart = (truth.level("val_accuracy", at) - right) / error, (seen - right) / 0.2
    at_chance = right < truth.facts.trivial_accuracy + error
    size = max(lost, apart)
    falls = at_chance or size > 1
    yield Verdict.OVERFITTING if falls else Verdict.OVERCONFIDENT
    if at_chance or 1 / NEAR < size < NEAR or lost < 1 < apart:
        yield Verdict.OVERCONFIDENT if falls else Verdict.OVERFITTING


def _falls_or_stands(truth: Truth) -> Iterator[Verdict]:
    fall = truth.gain / max(truth.lowest, 1e-9)
    gains, gap = truth.gain > 0.01 * truth.guess, (truth.val - truth.fit) / truth.guess
    if fall > REAL_FALL and gains:
        yield Verdict.STILL_IMPROVING
    if not (fall > NEAR * REAL_FALL and gains):
        yield from _stands(truth, gap)
    if fall > REAL_FALL / NEAR:
        yield Verdict.STILL_IMPROVING


def _stands(truth: Truth, gap: float) -> Iterator[Verdict]:
    high = truth.fit / truth.guess
    known = (truth.level("val_accuracy", truth.last) - truth.facts.trivial_accuracy) / (
        1 - truth.facts.trivial_accuracy
    )
    stands = [(gap / GAP, Verdict.STAGNANT_GENERALIZATION)]
    stands.append((high / HIGH, Verdict.UNDERFITTING if known < 0.9 else Verdict.HEALTHY))
    size, name = max(stands, key=lambda pair: pair[0])
    yield name if size > 1 else Verdict.HEALTHY
    for other, also in stands:
        if other > 1:
            yield also
    if size < NEAR:
        yield from (Verdict.HEALTHY, name)


def drawn() -> list[Golden]:
    """The cut runs with their verdicts. Runs of even seeds are held out whole.

    The first verdict is that of all new images; what the validation images alone show, with how they went on, is
    accepted too.
    """
    found = []
    for run in (*world.runs(), *world.runs(aimed.FILE)):
        r, epochs = random.Random(run["seed"]), history(_numbered(run))
        facts, new = Facts.from_dict(run["facts"]), _on_new_images(run, epochs)
        validated = [epoch.val_loss for epoch in epochs]
        least = max(LEAST, int(AIMED * len(epochs))) if "aim" in run["made"] else LEAST
        most = max(least, int(GOES_ON * len(epochs)))
        lengths = (round(math.exp(r.uniform(math.log(least), math.log(most)))) for _ in range(CUTS))
        for cut in dict.fromkeys(min(len(epochs), length) for length in lengths):
            truth = Truth(new, validated, run.get("smaller_rate"), cut, facts.trivial_loss, run["made"], facts)
            first, *more = *verdicts(truth), *verdicts(replace(truth, epochs=epochs))
            name = f"{run['made'].get('aim', 'drawn')} {cut} of {len(epochs)}"
            found.append(Golden(name, run["seed"], epochs[:cut], facts, "max_epochs", first, frozenset(more) - {first}))
    return found


def is_aimed(run: Golden) -> bool:
    """Whether its set-up is one of aimed.py."""
    return not run.name.startswith("drawn")


def _on_new_images(run: dict[str, Any], epochs: Sequence[Epoch]) -> list[Epoch]:
    """The epochs with loss and accuracy over all images that were not trained on."""
    held_out, images = run.get("held_out"), run["facts"]["images"]
    if held_out is None:
        return list(epochs)
    share = images["test"] / (images["test"] + images["validation"])

    def mixed(own: float | None, other: float | None) -> float | None:
        return None if own is None or other is None else (1 - share) * own + share * other

    return [
        replace(epoch, val_loss=mixed(epoch.val_loss, loss), val_accuracy=mixed(epoch.val_accuracy, right))
        for epoch, loss, right in zip(epochs, held_out["loss"], held_out["accuracy"], strict=True)
    ]


def _numbered(run: dict[str, Any]) -> dict[str, Any]:
    columns = run["epochs"]
    count = len(columns["val_loss"])
    return run | {"epochs": {"epoch": range(1, count + 1), "lr": [1e-3] * count, **columns}}
