"""A run up to a cut, seen with its continuation: what the verdicts of drawn.py go by.

Levels are medians over epochs on both sides of a point, so that noise and single wild epochs are taken out. Gains
compare means, each of epochs on its own side of the cut.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median, pstdev
from typing import Any

from service.core.records.epoch import Epoch
from service.core.records.facts import Facts

Middle = Callable[[list[float]], float]

REAL_RISE = 0.06  # share of validation loss
UNSEEN = 2.0  # standard errors
NORMAL = 1.48  # standard deviation of normal numbers over the median of their absolute values
HELPS_TRAIN, HELPS_NEW = 0.1, 0.03  # shares of training loss and of that on new images: a smaller rate helps by both


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
        """The median of a measure around an index, on both sides: a wild epoch is no level."""
        return _around(median, [getattr(e, name) for e in self.epochs], at, self.reach)

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

    @property
    def rise(self) -> float:
        """Of validation loss above its lowest level, in nats."""
        return self.val - self.lowest

    @property
    def real_rise(self) -> float:
        """The rise, in nats, from which on it counts."""
        return max(REAL_RISE * self.lowest, 0.015 * self.guess)

    @property
    def stays_risen(self) -> bool:
        return fmean(self.later) > self.lowest + self.real_rise / 2

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
    def gain_error(self) -> float:
        """The standard error of the gain by the usual jumps from epoch to epoch, in nats. Wild ones do not count."""
        return NORMAL * median(map(abs, self.off)) * self.val * math.sqrt(2 / (self.reach + 1))

    @cached_property
    def fell(self) -> float:
        """By how much validation loss fell in the last epochs up to the cut, in nats."""
        width = self.reach + 1
        before, last = self.epochs[: self.cut - width], self.epochs[self.cut - width : self.cut]
        return _lowest(before, width) - _lowest(last, width)

    @cached_property
    def jumps(self) -> float:
        """The standard deviation of validation loss about the mean around it, as a share of that."""
        return pstdev(self.off)

    @cached_property
    def off(self) -> list[float]:
        """By how much validation loss is off the mean around it in the epochs of the second half, as shares of that."""
        first, reach = self.cut // 2, self.reach
        own = math.sqrt((2 * reach + 1) / (2 * reach))  # each epoch is a part of its own mean
        return [
            own * ((loss or 0.0) / max(_around(fmean, self.validated, at, reach), 1e-9) - 1)
            for at, loss in enumerate(self.validated[first : self.cut], first)
        ]

    @cached_property
    def is_helped(self) -> bool | None:
        """Whether the smaller rate came lower after as many epochs, on training images and on new ones."""
        if self.calm is None:
            return None
        train, new = (_around(median, self.calm[name], self.last, self.reach) for name in ("train_loss", "loss"))
        clean = self.level("train_loss_clean", self.last)
        return train < (1 - HELPS_TRAIN) * clean and new < (1 - HELPS_NEW) * self.val

    def is_too_fast(self, share: float = 1.0) -> bool:
        """Whether training loss has risen as well, by more than a share of what counts, and by too large steps."""
        trains = self.levels("train_loss", 0, self.cut)
        rise, least = trains[-1] - min(trains), max(0.1 * min(trains), 0.03 * self.guess)
        by_steps = rise > 0.5 * self.rise > 0.5 * self.real_rise if self.is_helped is None else self.is_helped
        return rise > share * least and self.rise > 0 and by_steps

    @cached_property
    def rises_calmly(self) -> bool:
        """Whether the loss on new images had risen by as many epochs with the smaller rate, too."""
        if self.calm is None:
            return False
        levels = [_around(median, self.calm["loss"], at, self.reach) for at in range(self.cut)]
        return levels[-1] > (1 + REAL_RISE) * min(levels)

    @property
    def unseen(self) -> float:
        """The rise, in nats, below which it looks like noise: UNSEEN standard errors, by the choice of the validation
        images and by the jumps, and the luck of the lowest of all levels (see Curve.luck).
        """
        width = 2 * self.reach + 1
        jumps = 1.25 * self.jumps * self.val / math.sqrt(width)
        luck = jumps * math.sqrt(2 * math.log(max(1.0, 2 * self.cut / width)))
        return UNSEEN * math.hypot(self.epochs[self.last].val_change_se or 0.0, math.sqrt(2) * jumps) + luck

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


def _around(middle: Middle, values: Sequence[float | None], at: int, reach: int) -> float:
    """The mean or the median of the known values around an index, on both sides. Infinite if there are none."""
    known = [value for value in values[max(0, at - reach) : at + reach + 1] if value is not None]
    return middle(known) if known else math.inf
