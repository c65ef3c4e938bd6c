"""The runs of world.py and aimed.py, cut at random lengths, with verdicts by rules: from how a run was made, how it
went on, how it does on held-out images, and whether a smaller learning rate helped.

The rules here see what the diagnosis cannot: the epochs after the cut, and with runs of aimed.py further images and a
run with a smaller rate. A fall or rise counts if it lasts.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from service.core.diagnosis import Verdict
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from tests.golden import aimed, world
from tests.golden.scoring import Golden, history
from tests.golden.truth import Truth

CUTS = 4  # of each run, at most: equal ones count once
LEAST, GOES_ON = 4, 0.5  # epochs, and the largest share of a run, that a cut keeps: as many epochs again are seen
GROWING = "rising_rate"  # the aim with a rate that grows up to each cut, and beyond
AIMED = 0.2  # the least share of an aimed run that a cut keeps: what it is aimed at takes a while
FEW_IMAGES = 41
REAL_FALL, REAL_GAIN = 0.04, 0.01  # shares of validation loss and of the loss of guessing
GAP, HIGH, JUMPS = 0.08, 0.15, 0.15  # shares of the loss of guessing, and of validation loss
AT_CHANCE, LEARNT = 0.93, 0.8  # shares of the loss of guessing: training loss is at it, or came below it
NEAR = 1.6  # a measure that is closer to its threshold than by this factor may count or not


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
    if truth.fit > AT_CHANCE * truth.guess:
        yield from _at_chance(truth)
        return
    if truth.jumps > JUMPS * NEAR:
        yield Verdict.NOISY_VALIDATION
    shapes = [*_rises(truth)]
    if truth.facts.images["validation"] < FEW_IMAGES:
        shapes.append(Verdict.SMALL_VALIDATION)
    yield from shapes
    if not shapes or shapes == [Verdict.SMALL_VALIDATION]:
        yield from _falls_or_stands(truth)
    yield from _nearly(truth)


def _nearly(truth: Truth) -> Iterator[Verdict]:
    """Verdicts whose measures come near their thresholds."""
    if truth.jumps > JUMPS / NEAR:
        yield Verdict.NOISY_VALIDATION
    if truth.is_too_fast(1 / NEAR):
        yield Verdict.UNSTABLE
    if truth.rise > truth.real_rise / NEAR and truth.stays_risen:
        yield from _more_certain_or_worse(truth)


def _at_chance(truth: Truth) -> Iterator[Verdict]:
    """Verdicts of a training loss at that of guessing: it never was much lower, or it was and this was lost again."""
    names = ("train_loss", "train_loss_clean")
    has_lost = min(min(truth.levels(name, 0, truth.cut)) for name in names) < LEARNT * truth.guess
    losses = [getattr(epoch, name) for epoch in truth.epochs[: truth.cut] for name in names]
    if has_lost:
        yield Verdict.DIVERGED
    falls = truth.gain > 0.03 * truth.guess
    yield from (Verdict.STILL_IMPROVING, Verdict.NOT_LEARNING) if falls else (Verdict.NOT_LEARNING,)
    if truth.facts.images["validation"] < FEW_IMAGES:
        yield Verdict.SMALL_VALIDATION
    if max(e.train_loss or 0.0 for e in truth.epochs[: truth.cut]) > 4 * truth.guess:
        yield Verdict.DIVERGED
    yield Verdict.UNDERFITTING
    if any(loss is not None and loss < LEARNT * truth.guess for loss in losses):  # in a single epoch
        yield Verdict.DIVERGED
    if truth.is_too_fast() and not has_lost:
        yield Verdict.UNSTABLE


def _rises(truth: Truth) -> Iterator[Verdict]:
    """Verdicts of a validation loss that is above its lowest level and stays there, or above guessing."""
    if truth.is_too_fast():
        yield from (Verdict.UNSTABLE, Verdict.DIVERGED, Verdict.NOISY_VALIDATION, Verdict.UNDERFITTING)
        if truth.rises_calmly:  # by memorizing, not only by large steps
            yield from _more_certain_or_worse(truth)
        return
    worse = truth.val > truth.guess and truth.fit < 0.7 * truth.guess
    if not (truth.rise > truth.real_rise and truth.stays_risen) and not worse:
        return
    yield from _more_certain_or_worse(truth)
    if truth.rise < max(NEAR * truth.real_rise, truth.unseen) and not worse:
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
    """A gain that is nearer to the least real one than by its standard error, or by the factor NEAR, may count or not;
    so may a large share of a small loss. A loss that falls up to the cut, and rises later with a rate that grows, does
    not stand at the cut.
    """
    gain, error, least = truth.gain, truth.gain_error, _least_gain(truth)
    if gain > least:
        yield Verdict.STILL_IMPROVING
    if gain - error <= NEAR * least:
        yield from _stands(truth, (truth.val - truth.fit) / truth.guess)
    may_gain = gain > REAL_FALL * truth.lowest / NEAR or gain > max(0.0, least / NEAR - error)
    if may_gain or _falls_until_the_rate(truth):
        yield Verdict.STILL_IMPROVING


def _falls_until_the_rate(truth: Truth) -> bool:
    """Whether validation loss is lowest at the cut, after a real fall, and rises with a rate that grows."""
    least, is_lowest = _least_gain(truth), truth.val <= truth.lowest
    return truth.made.get("aim") == GROWING and is_lowest and truth.fell > least and truth.gain < -least


def _least_gain(truth: Truth) -> float:
    """The fall of validation loss, in nats, from which on it counts."""
    return max(REAL_FALL * truth.lowest, REAL_GAIN * truth.guess)


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
            aim, as_well = run["made"].get("aim", "drawn"), frozenset(more) - {first}
            name, set_up = f"{aim} {cut} of {len(epochs)}", f"{aim} {run['seed']}"
            found.append(Golden(name, run["seed"], epochs[:cut], facts, "max_epochs", first, as_well, set_up))
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
