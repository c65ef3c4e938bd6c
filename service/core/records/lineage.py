"""The family of a job: its ancestors, and every job that was forked from one of the family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Relative:
    """A job of a family with the measures of its best epoch (None without one). `patch` is of the parent's spec, and
    `dataset` the id of its data set.
    """

    id: str
    dataset: str
    parent: str | None
    advice: str | None
    patch: Sequence[Mapping[str, Any]] | None
    name: str | None
    status: str
    stop_reason: str | None
    created_at: float
    best_epoch: int | None
    best_val_loss: float | None
    best_val_accuracy: float | None
