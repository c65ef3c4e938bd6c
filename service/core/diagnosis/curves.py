"""A loss history as the rules read it: its finite epochs, and their noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

from service.core.diagnosis.measures import STRIP, jitter, smoothed, theil_sen
from service.core.records.epoch import Epoch


@dataclass(frozen=True)
class Curve:
    """The epochs whose losses are all finite. Losses are in nats per image.

    `train` is the training loss while weights change. `fit` is the training loss to compare with `val`: the clean one,
    or if it was not measured the smaller of `train` and `val`, as dropout, mixing and smoothing raise `train`.
    """

    epochs: tuple[int, ...]
    train: tuple[float, ...]
    fit: tuple[float, ...]
    val: tuple[float, ...]
    accuracy: tuple[float, ...]
    is_clean: bool
    val_se: float | None  # of the last epoch
    change_se: float | None  # of the last epoch's difference from the best one, paired
    kept: int | None  # the epoch whose model was kept
    broken_at: int | None  # the epoch from which on the losses were not finite

    @classmethod
    def of(cls, history: Sequence[Epoch]) -> "Curve":
        """From a history, its epochs in order."""
        whole = [e for e in history if e.val_loss is not None and e.train_loss is not None]
        is_clean = bool(whole) and all(e.train_loss_clean is not None for e in whole)
        train, val = tuple(e.train_loss or 0.0 for e in whole), tuple(e.val_loss or 0.0 for e in whole)
        return cls(
            epochs=tuple(e.epoch for e in whole),
            train=train,
            fit=tuple(e.train_loss_clean or 0.0 for e in whole) if is_clean else tuple(map(min, train, val)),
            val=val,
            accuracy=tuple(e.val_accuracy or 0.0 for e in whole),
            is_clean=is_clean,
            val_se=next((e.val_loss_se for e in reversed(whole) if e.val_loss_se is not None), None),
            change_se=next((e.val_change_se for e in reversed(whole) if e.val_change_se is not None), None),
            kept=next((e.epoch for e in reversed(history) if e.improved), None),
            broken_at=broken_at(history),
        )

    def __len__(self) -> int:
        return len(self.epochs)

    @cached_property
    def smooth_val(self) -> list[float]:
        return smoothed(self.val)

    @cached_property
    def turn(self) -> int:
        """The index at which the smoothed validation loss is lowest."""
        return min(range(len(self)), key=self.smooth_val.__getitem__)

    @cached_property
    def half(self) -> int:
        """The index at which the second half begins."""
        return len(self) // 2

    @cached_property
    def third(self) -> int:
        """The index at which the last third begins."""
        return len(self) - max(2, len(self) // 3)

    @cached_property
    def jumps(self) -> float:
        """The noise of validation loss from epoch to epoch in the second half, in nats."""
        return jitter(self.val[self.half :])

    @cached_property
    def noise(self) -> float:
        """The standard error, in nats, of a difference between two levels of validation loss: the paired error of the
        images and the error of the epochs, combined.
        """
        of_images = self.change_se if self.change_se is not None else (self.val_se or 0.0)
        return math.hypot(of_images, self.jumps * math.sqrt(2 / STRIP))

    @cached_property
    def luck(self) -> float:
        """By how much the lowest of all strips is about expected to lie below the true level by chance, in nats.

        The median of a strip has a standard deviation of 1.25 / sqrt(STRIP) times that of one epoch, and the lowest of
        n normal numbers is about sqrt(2 ln n) standard deviations below their mean. Strips that overlap by half count
        as two.
        """
        strips = max(1.0, 2 * len(self) / STRIP)
        return self.jumps * 1.25 * math.sqrt(2 * math.log(strips) / STRIP)

    def fall(self, values: Sequence[float]) -> float:
        """The fall of a loss over the last third, in nats, along its robust slope; negative if it rose."""
        last = values[self.third :]
        return -theil_sen(last) * (len(last) - 1)

    def fallen(self, values: Sequence[float]) -> float:
        """The relative fall of a loss over the last third, as a share."""
        fall, middle = self.fall(values), median(values[self.third :])
        return fall / (middle + fall / 2) if middle + fall / 2 > 0 else 0.0


def broken_at(history: Sequence[Epoch]) -> int | None:
    """The epoch from which on the losses were not finite; a val_loss that is not finite and recovers does not count."""
    end = next((i for i, e in enumerate(history) if e.train_loss is None), len(history) - 1)
    if not history or (history[end].train_loss is not None and history[end].val_loss is not None):
        return None
    finite = next((i for i in range(end - 1, -1, -1) if history[i].val_loss is not None), -1)
    return history[finite + 1].epoch


def level(values: Sequence[float], at: int | None = None) -> float:
    """The median of the strip around an index; without an index, of the last strip."""
    if at is None:
        return median(values[-STRIP:])
    return median(values[max(0, at - STRIP // 2) : at + STRIP // 2 + 1])


def share(values: Sequence[float], at: int | None = None) -> float:
    """The mean of the strip around an index (without one, of the last strip), for accuracies: they come in steps."""
    if at is None:
        return fmean(values[-STRIP:])
    return fmean(values[max(0, at - STRIP // 2) : at + STRIP // 2 + 1])
