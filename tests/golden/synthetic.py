"""Loss histories made of formulas and noise, each of a known verdict. They cover losses, lengths and amounts of noise
that the real runs of one small data set do not have.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.diagnosis import Verdict
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts

Shape = Callable[[float], tuple[float, float, float]]  # of progress from 0 to 1: training and validation loss, accuracy


def falling(start: float, end: float, rate: float) -> Callable[[float], float]:
    """An exponential from start towards end."""
    return lambda x: end + (start - end) * math.exp(-rate * x)


@dataclass(frozen=True)
class Kind:
    """A verdict and how a run that deserves it is drawn; `raised` is what handicaps multiply the training loss by."""

    verdict: Verdict
    draw: Callable[[random.Random, float], Shape]
    raised: float = 1.0
    noise: tuple[float, float] = (0.002, 0.02)  # of validation loss from epoch to epoch, as a share of it
    epochs: tuple[int, int] = (30, 300)
    images: tuple[int, ...] = (200, 1000, 5000)  # validation images
    copied: tuple[float, float] = (0.0, 0.0)  # the share of them that has copies among the training images


def _overfitting(r: random.Random, guess: float) -> Shape:
    down, turn, up = (
        falling(guess, r.uniform(0.3, 0.5) * guess, r.uniform(12, 30)),
        r.uniform(0.15, 0.4),
        r.uniform(0.5, 1.5),
    )
    fit = falling(guess, r.uniform(0.01, 0.1) * guess, r.uniform(5, 9))
    lost = r.uniform(0.05, 0.12)
    return lambda x: (fit(x), down(x) + up * max(0, x - turn) * guess * 0.5, 0.75 - lost * max(0, x - turn))


def _overconfident(r: random.Random, guess: float) -> Shape:
    down, turn, up = (
        falling(guess, r.uniform(0.15, 0.3) * guess, r.uniform(12, 30)),
        r.uniform(0.15, 0.4),
        r.uniform(0.5, 1.5),
    )
    fit = falling(guess, r.uniform(0.001, 0.01) * guess, r.uniform(9, 14))
    return lambda x: (fit(x), down(x) + up * max(0, x - turn) * guess * 0.2, 0.9 - 0.3 * math.exp(-20 * x))


def _stagnant(r: random.Random, guess: float) -> Shape:
    down, fit = (
        falling(guess, r.uniform(0.2, 0.5) * guess, r.uniform(10, 25)),
        falling(guess, 0.01 * guess, r.uniform(5, 9)),
    )
    return lambda x: (min(fit(x), down(x)), down(x), 0.85 - 0.5 * math.exp(-12 * x))


def _underfitting(r: random.Random, guess: float) -> Shape:
    down = falling(guess, r.uniform(0.4, 0.8) * guess, r.uniform(12, 30))
    return lambda x: (down(x), down(x) * 1.02, 0.4 - 0.2 * math.exp(-12 * x))


def _not_learning(r: random.Random, guess: float) -> Shape:
    end = r.uniform(0.99, 1.02) * guess
    return lambda x: (end, end, 0.1)


def _improving(r: random.Random, guess: float) -> Shape:
    down = falling(guess, r.uniform(0.0, 0.1) * guess, r.uniform(1.5, 3))
    return lambda x: (down(x) * 0.97, down(x), 0.9 - 0.6 * math.exp(-3 * x))


def _healthy(r: random.Random, guess: float) -> Shape:
    end = r.uniform(0.03, 0.1) * guess
    down = falling(guess, end, r.uniform(12, 30))
    return lambda x: (down(x) * 0.85, down(x), 0.97 - 0.5 * math.exp(-14 * x))


def _easier(r: random.Random, guess: float) -> Shape:
    down, easier = falling(guess, r.uniform(0.2, 0.4) * guess, r.uniform(12, 30)), r.uniform(0.5, 0.7)
    return lambda x: (down(x), easier * down(x), 0.95 - 0.5 * math.exp(-14 * x))


def _exploding(r: random.Random, guess: float) -> Shape:
    at, down = r.uniform(0.2, 0.7), falling(guess, 0.4 * guess, 8)
    return lambda x: (down(x), down(x) * 1.05, 0.7) if x < at else (guess * 1.02, guess * 1.03, 0.1)


def _rising(r: random.Random, guess: float) -> Shape:
    down, turn, up = falling(guess, r.uniform(0.3, 0.5) * guess, 15), r.uniform(0.3, 0.6), r.uniform(0.15, 0.25) * guess
    rise = up / (1 - turn)
    return lambda x: (
        down(x) + rise * max(0, x - turn),
        1.03 * (down(x) + rise * max(0, x - turn)),
        0.75 - 0.2 * max(0, x - turn),
    )


KINDS: Mapping[str, Kind] = {
    "overfitting": Kind(Verdict.OVERFITTING, _overfitting),
    "overconfident": Kind(Verdict.OVERCONFIDENT, _overconfident),
    "stagnant": Kind(Verdict.STAGNANT_GENERALIZATION, _stagnant),
    "underfitting": Kind(Verdict.UNDERFITTING, _underfitting),
    "not_learning": Kind(Verdict.NOT_LEARNING, _not_learning),
    "improving": Kind(Verdict.STILL_IMPROVING, _improving),
    "healthy": Kind(Verdict.HEALTHY, _healthy),
    "handicapped": Kind(Verdict.TRAIN_ABOVE_VALIDATION, _healthy, raised=4.0),
    "exploding": Kind(Verdict.DIVERGED, _exploding),
    "rising": Kind(Verdict.UNSTABLE, _rising),
    "jumping": Kind(Verdict.NOISY_VALIDATION, _healthy, noise=(0.3, 0.5)),
    "few images": Kind(Verdict.SMALL_VALIDATION, _healthy, images=(10, 20, 35)),
    "few epochs": Kind(Verdict.TOO_SHORT_TO_TELL, _healthy, epochs=(2, 4)),
    "copied": Kind(Verdict.SUSPECTED_LEAKAGE, _healthy, copied=(0.05, 0.9)),
    "easier": Kind(Verdict.SUSPECTED_LEAKAGE, _easier, images=(1000, 5000)),
}


def history(kind: str, seed: int) -> tuple[list[Epoch], Facts]:
    """The run of a kind that a seed draws, of 2 to 100 classes."""
    how, r = KINDS[kind], random.Random(f"{kind} {seed}")
    guess, epochs, images = math.log(r.choice([2, 5, 10, 100])), r.randint(*how.epochs), r.choice(how.images)
    shape, noise = how.draw(r, guess), r.uniform(*how.noise)
    rows = []
    for epoch in range(1, epochs + 1):
        fit, val, accuracy = shape(epoch / epochs)
        seen = fit * (1 + 0.3 * r.random() * noise)
        rows.append(
            _epoch(
                epoch,
                seen * how.raised,
                seen,
                max(1e-4, val * (1 + r.gauss(0, noise))),
                accuracy,
                se=val / math.sqrt(images),
                change_se=0.3 * val / math.sqrt(images),
            )
        )
    return rows, _facts(guess, images, round(images * r.uniform(*how.copied)))


def noise(seed: int) -> tuple[list[Epoch], Facts]:
    """A validation loss of nothing but noise about its level. So is training loss, or (odd seeds) it keeps falling."""
    r = random.Random(seed)
    guess, epochs, images = math.log(10), r.randint(20, 200), 500
    val, fit, deviation = r.uniform(0.2, 1.0), r.uniform(0.1, 1.0), r.uniform(0.01, 0.2)
    rows, rate = [], 0.97 if seed % 2 else 1.0
    for epoch in range(1, epochs + 1):
        seen, held_out = rate**epoch * fit * (1 + r.gauss(0, deviation)), max(1e-4, val * (1 + r.gauss(0, deviation)))
        rows.append(_epoch(epoch, seen, seen, held_out, r.gauss(0.8, 0.01), se=0.03, change_se=0.02))
    return rows, _facts(guess, images)


def _epoch(epoch: int, train: float, fit: float, val: float, accuracy: float, se: float, change_se: float) -> Epoch:
    return Epoch(
        epoch=epoch,
        train_loss=train,
        train_loss_clean=fit,
        val_loss=val,
        train_accuracy=accuracy,
        val_accuracy=min(1.0, max(0.0, accuracy)),
        penalty=0.0,
        lr=1e-3,
        seconds=1.0,
        images_per_second=1.0,
        improved=False,
        epochs_without_improvement=0,
        val_loss_se=se,
        val_change_se=change_se,
    )


def _facts(guess: float, images: int, copies: int = 0) -> Facts:
    return Facts({"train": 4 * images, "validation": images, "test": 0}, guess, math.exp(-guess), copies)
