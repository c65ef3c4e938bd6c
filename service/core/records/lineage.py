"""The family of a job: its ancestors, and every job that was forked from one of the family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.core.spec import JobSpec


@dataclass(frozen=True)
class Relative:
    """A job of a family with the scores of its model: those of its best epoch (None without one), or of the average
    that is kept. `patch` is of the parent's spec, `dataset` the id of its data set, and `weights` that of the upload or
    job whose weights it starts from.
    """

    id: str
    dataset: str
    parent: str | None
    advice: str | None
    patch: Sequence[Mapping[str, Any]] | None
    weights: str | None
    name: str | None
    status: str
    stop_reason: str | None
    created_at: float
    best_epoch: int | None
    best_val_loss: float | None
    best_val_accuracy: float | None


@dataclass(frozen=True)
class Ancestor:
    """The spec of a job that another one goes back to. `is_better`: it reached a lower loss on the same images than
    that job, which has ended.
    """

    spec: JobSpec
    is_better: bool = False


@dataclass(frozen=True)
class Family:
    """What was tried on the way to a job: its nearest ancestors in this order, and by advice the change of the best
    validation loss, in nats, that the newest fork of the job or of an ancestor brought. Forks count once they have
    ended, if they were validated on the images of their parent.
    """

    ancestors: tuple[Ancestor, ...] = ()
    changes: Mapping[str, float] = field(default_factory=dict)
