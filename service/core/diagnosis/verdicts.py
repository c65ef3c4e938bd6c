"""The verdicts that a run can get, and the findings and evidence behind them."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The verdict on the curves of a run."""

    HEALTHY = "healthy"  # both losses have come down and stay close together
    OVERFITTING = "overfitting"  # validation loss rises, and accuracy falls, while training loss falls
    STAGNANT_GENERALIZATION = "stagnant_generalization"  # training loss falls, validation loss is flat
    OVERCONFIDENT = "overconfident"  # validation loss rises while accuracy holds
    UNDERFITTING = "underfitting"  # both losses have stopped high
    NOT_LEARNING = "not_learning"  # no better than guessing
    STILL_IMPROVING = "still_improving"  # validation loss, or a high training loss, still falls
    DIVERGED = "diverged"  # the losses exploded, or earlier progress was lost
    UNSTABLE = "unstable"  # both losses rise: the steps are too large
    NOISY_VALIDATION = "noisy_validation"  # validation loss jumps from epoch to epoch
    SMALL_VALIDATION = "small_validation"  # too few validation images to tell
    TRAIN_ABOVE_VALIDATION = "train_above_validation"  # training loss is measured under handicaps
    SUSPECTED_LEAKAGE = "suspected_leakage"  # validation images may be known from training
    RARE_CLASSES_IGNORED = "rare_classes_ignored"  # a note only: the model is worse on classes with few images
    TOO_SHORT_TO_TELL = "too_short_to_tell"


@dataclass(frozen=True)
class Evidence:
    """A number behind a verdict, the threshold it is compared with (None: for information only), and its meaning."""

    name: str
    value: float
    threshold: float | None
    meaning: str


@dataclass(frozen=True)
class Finding:
    """A verdict with its evidence. `clarity` is 0.5 at the thresholds and rises to 1 beyond them;
    `onset_epoch` is the epoch (from 1) at which it sets in, None if it has no onset.
    """

    verdict: Verdict
    clarity: float
    onset_epoch: int | None
    evidence: tuple[Evidence, ...]


def clarity(*ratios: float) -> float:
    """The clarity of a finding, 0.5 to 0.99, by the smallest ratio of a value to its threshold (1: just reached)."""
    weakest = max(1.0, min(ratios))
    return round(min(0.99, 1 - 0.5 / weakest), 3)
