"""How long a job has run and may go on, by its epochs, its time limit and the patience of early stopping."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from service.core.records.epoch import Epoch
from service.core.records.job import Job, Status

RECENT = 5  # epochs whose time stands for that of the next ones


@dataclass(frozen=True)
class TimeLeft:
    """`gone`, `at_most` and `at_least` are seconds. `at_least` is the time until early stopping if no epoch
    improves.
    """

    epoch: int
    epochs: int
    gone: float
    at_most: float | None
    at_least: float | None

    @property
    def now(self) -> int:
        """The epoch that is being trained: the one after the last complete one."""
        return min(self.epoch + 1, self.epochs)


def time_left(job: Job, epochs: Sequence[Epoch]) -> TimeLeft:
    """The time of a job. The bounds are unknown before its first epoch, and while it does not run."""
    gone = max(0.0, time.time() - job.started_at) if job.started_at else 0.0
    done = epochs[-1].epoch if epochs else 0
    if not epochs or job.status is not Status.RUNNING:
        return TimeLeft(done, job.spec.epochs, gone, None, None)
    each = median(epoch.seconds for epoch in epochs[-RECENT:])
    by_epochs = (job.spec.epochs - done) * each
    spent = sum(epoch.seconds for epoch in epochs)
    limit = by_epochs if job.spec.max_seconds is None else max(0.0, job.spec.max_seconds - spent)
    at_most = min(by_epochs, limit)
    return TimeLeft(done, job.spec.epochs, gone, at_most, _until_early_stopping(job, epochs[-1], each, at_most))


def _until_early_stopping(job: Job, last: Epoch, each: float, at_most: float) -> float | None:
    """The seconds until early stopping if no epoch improves; None if it would not end the run sooner."""
    stopping = job.spec.early_stopping
    if stopping is None:
        return None
    waiting = max(0, stopping.patience - last.epochs_without_improvement) * each
    return waiting if waiting < at_most else None
