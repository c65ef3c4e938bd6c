"""A loss history as the rules read it: its finite epochs, and their noise."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

from service.core.diagnosis.forecasts import decaying, slowing
from service.core.diagnosis.measures import STRIP, jitter, smoothed, theil_sen
from service.core.diagnosis.trends import falling_chance
from service.core.records.epoch import Epoch

SHORT, VERY_SHORT = 15, 6  # epochs below which strips are of 3 epochs, and of the single epoch
LEAST_TREND = 8  # epochs at the end of which a trend is judged, where the run has them
UNCERTAIN = 3.0  # over the number of epochs that tell of jumps: by how much these may be larger, as a share
LEAST_LOSS = 1e-9  # nats; smaller ones count as this: the logarithm needs more than 0
LAGGING = 1.3  # clean training loss above this multiple of training loss: other statistics were used for it


@dataclass(frozen=True)
class Curve:
    """The epochs whose losses are all finite. Losses are in nats per image, accuracies shares or None.

    `train` is the training loss while weights change. `fit` is the training loss to compare with `val`: the smaller of
    `train` and the clean one, or if that was not measured of `train` and `val`, as dropout, mixing and smoothing raise
    `train`. A loss that was never measured is replaced by the other one: see `has_train` and `has_val`.
    """

    epochs: tuple[int, ...]
    train: tuple[float, ...]
    clean: tuple[float, ...]  # empty if it was not measured in each epoch
    val: tuple[float, ...]
    train_accuracy: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    has_train: bool
    has_val: bool
    val_se: float | None  # of the last epoch
    change_se: float | None  # of the last epoch's difference from the best one, paired
    kept: int | None  # the epoch whose model was kept
    broken_at: int | None  # the epoch from which on the losses were not finite

    @classmethod
    def of(cls, history: Sequence[Epoch]) -> "Curve":
        """From a history, its epochs in order."""
        has_train = any(e.train_loss is not None for e in history)
        has_val = any(e.val_loss is not None for e in history)
        whole = [
            e
            for e in history
            if (e.train_loss is not None or not has_train) and (e.val_loss is not None or not has_val)
        ]
        whole = whole if has_train or has_val else []
        train, val = _known(e.train_loss for e in whole), _known(e.val_loss for e in whole)
        return cls(
            epochs=tuple(e.epoch for e in whole),
            train=train if has_train else val,
            clean=_known(e.train_loss_clean for e in whole),
            val=val if has_val else train,
            train_accuracy=tuple(e.train_accuracy for e in whole),
            accuracy=tuple(e.val_accuracy for e in whole),
            has_train=has_train,
            has_val=has_val,
            val_se=next((e.val_loss_se for e in reversed(whole) if e.val_loss_se is not None), None),
            change_se=next((e.val_change_se for e in reversed(whole) if e.val_change_se is not None), None),
            kept=next((e.epoch for e in reversed(history) if e.improved), None),
            broken_at=broken_at(history),
        )

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def is_clean(self) -> bool:
        """Whether training images were scored as validation images are, in each epoch."""
        return len(self) > 0 and len(self.clean) == len(self)

    @cached_property
    def fit(self) -> tuple[float, ...]:
        return tuple(map(min, self.train, self.clean if self.is_clean else self.val))

    @cached_property
    def is_lagging(self) -> bool:
        """Whether the clean training loss is far above training loss, as with running statistics that lag behind."""
        if not self.is_clean or not self.has_train:
            return False
        clean, train = self.level(self.clean), self.level(self.train)
        return clean > LAGGING * train and clean - train > self.jumps

    @property
    def strip(self) -> int:
        """How many epochs make a level."""
        return STRIP if len(self) >= SHORT else 3 if len(self) >= VERY_SHORT else 1

    @cached_property
    def smooth_val(self) -> list[float]:
        return smoothed(self.val, self.strip)

    @cached_property
    def lowest(self) -> int:
        """The index at which validation loss is lowest."""
        return min(range(len(self)), key=self.val.__getitem__)

    @cached_property
    def turn(self) -> int:
        """The index at which the smoothed validation loss is lowest."""
        return min(range(len(self)), key=self.smooth_val.__getitem__)

    @cached_property
    def half(self) -> int:
        """The index at which the second half begins; a short run has half of its noise in more than that."""
        return min(len(self) // 2, max(0, len(self) - LEAST_TREND + 2))

    @cached_property
    def third(self) -> int:
        """The index at which the last third begins."""
        return len(self) - max(3, len(self) // 3)

    @cached_property
    def recent(self) -> int:
        """The index from which on a trend is judged: the second half, of a short run more."""
        return max(0, min(len(self) // 2, len(self) - LEAST_TREND))

    @cached_property
    def jumps(self) -> float:
        """The noise of validation loss from epoch to epoch in the second half, in nats."""
        return jitter(self.val[self.half :], self.epochs[self.half :])

    @cached_property
    def image_noise(self) -> float:
        """The standard error, in nats, of a change of validation loss that is due to the choice of the images."""
        return self.change_se if self.change_se is not None else (self.val_se or 0.0)

    @cached_property
    def noise(self) -> float:
        """The standard error, in nats, of a difference between two levels of validation loss: the paired error of the
        images and the error of the epochs, combined. The jumps of few epochs are not well known: they may be larger.
        """
        doubt = 1 + UNCERTAIN / max(1, len(self) - self.half - 2)
        return math.hypot(self.image_noise, doubt * self.jumps * math.sqrt(2 / self.strip))

    @cached_property
    def luck(self) -> float:
        """By how much the lowest of all strips is about expected to lie below the true level by chance, in nats.

        The median of a strip has a standard deviation of 1.25 / sqrt(strip) times that of one epoch, and the lowest of
        n normal numbers is about sqrt(2 ln n) standard deviations below their mean. Strips that overlap by half count
        as two.
        """
        strips = max(1.0, 2 * len(self) / self.strip)
        return self.jumps * 1.25 * math.sqrt(2 * math.log(strips) / self.strip)

    def first_at(self, loss: float) -> int:
        """The index from which on the smoothed validation loss has been as low as a loss, at the earliest."""
        return next(i for i, smooth in enumerate(self.smooth_val) if smooth <= loss)

    def level(self, values: Sequence[float], at: int | None = None) -> float:
        """The median of the strip around an index; without an index, of the last strip, of at least two epochs."""
        if at is None:
            return median(values[-max(2, self.strip) :])
        return median(values[max(0, at - self.strip // 2) : at + self.strip // 2 + 1])

    def share(self, values: Sequence[float | None], at: int | None = None) -> float | None:
        """The mean of the strip around an index (without one, of the last strip), for accuracies: they come in steps.

        None if none of them is known.
        """
        strip = values[-max(2, self.strip) :]
        if at is not None:
            strip = values[max(0, at - self.strip // 2) : at + self.strip // 2 + 1]
        known = [value for value in strip if value is not None]
        return fmean(known) if known else None

    def fall(self, values: Sequence[float]) -> float:
        """The fall of a loss over the last third, in nats, along its robust slope; negative if it rose."""
        return self.drop(values, max(0, self.third))

    def fallen(self, values: Sequence[float]) -> float:
        """The relative fall of a loss over the last third, as a share."""
        fall, middle = self.fall(values), median(values[max(0, self.third) :])
        return fall / (middle + fall / 2) if middle + fall / 2 > 0 else 0.0

    @cached_property
    def coming(self) -> float:
        """The share of itself by which validation loss is likely to fall in as many epochs again, from 0 to 1: the
        geometric mean of two forecasts.
        """
        logarithms = [math.log(max(loss, LEAST_LOSS)) for loss in self.val]
        return math.sqrt(-math.expm1(-decaying(logarithms)) * -math.expm1(-slowing(logarithms)))

    @cached_property
    def followed(self) -> float:
        """The fall of validation loss as a share of that of training loss, both over the epochs that show a trend;
        infinite where training loss does not fall.
        """
        fall = self.drop(self.fit, self.recent)
        return self.drop(self.val, self.recent) / fall if fall > 0 else math.inf

    def falling(self, values: Sequence[float]) -> float:
        """The chance that a loss without a trend falls as steadily as this one did in the second half."""
        return falling_chance(values[self.recent :])

    def drop(self, values: Sequence[float], since: int) -> float:
        """The fall of a loss since an index, in nats, along its robust slope; negative if it rose."""
        return -theil_sen(values[since:]) * max(0, len(values) - since - 1)


def _known(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)


def broken_at(history: Sequence[Epoch]) -> int | None:
    """The epoch from which on the losses were not finite; losses that recover do not count.

    A loss that is None was not finite if the epoch has a flag, else it was not measured.
    """
    scored = [e for e in history if e.flag or e.train_loss is not None or e.val_loss is not None]
    if not scored or not scored[-1].flag or (scored[-1].train_loss is not None and scored[-1].val_loss is not None):
        return None
    finite = next(
        (i for i in range(len(scored) - 2, -1, -1) if not scored[i].flag or scored[i].val_loss is not None), -1
    )
    return scored[finite + 1].epoch
