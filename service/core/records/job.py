"""The job record, its statuses and the transitions between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from service.core.records.epoch import Epoch
from service.core.records.facts import Average, Facts
from service.core.spec import JobSpec
from service.core.storage import Artifact


class Status(StrEnum):
    """The status of a job."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds its lease
    PAUSED = "paused"  # set aside by its owner
    SUCCEEDED = "succeeded"  # ended with a result
    FAILED = "failed"  # ended without one, `error` says why
    CANCELLED = "cancelled"  # ended by its owner, the best model so far is kept


class Phase(StrEnum):
    """What a running job is doing."""

    PREPARING = "preparing"  # loading data, building the model
    TRAINING = "training"
    FINALIZING = "finalizing"  # writing and publishing the results


class StopReason(StrEnum):
    """Why a run ended."""

    EARLY_STOPPING = "early_stopping"
    MAX_EPOCHS = "max_epochs"
    MAX_SECONDS = "max_seconds"
    TARGET_REACHED = "target_reached"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    INVALID_DATA = "invalid_data"
    INTERNAL_ERROR = "internal_error"


class ControlRequest(StrEnum):
    """A request of the owner to the worker that runs the job."""

    CANCEL = "cancel"
    PAUSE = "pause"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.PAUSED, Status.CANCELLED, Status.FAILED}),
    Status.RUNNING: TERMINAL | {Status.QUEUED, Status.PAUSED},
    Status.PAUSED: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset(),
}


def sources(then: Status) -> tuple[Status, ...]:
    """The statuses from which a job may become `then`."""
    return tuple(now for now, following in TRANSITIONS.items() if then in following)


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the origin (`user`, `data` or `infrastructure`), a code for programs, words for people."""

    origin: str
    code: str
    detail: str


@dataclass(frozen=True)
class LostAttempt:
    """An attempt that the infrastructure ended."""

    attempt: int
    worker: str
    cause: str


@dataclass(frozen=True)
class Retries:
    """How many attempts may be lost before the job fails, and the wait after the first (doubled each time)."""

    attempts: int
    backoff_seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """A state to resume from: its last.pt, the best model so far, and the number of completed epochs."""

    last: Artifact
    best: Artifact | None
    epochs: int
    best_epoch: int | None


def superfluous(checkpoints: Sequence[Checkpoint]) -> tuple[str, ...]:
    """The storage keys that are not needed once a job has ended with the best model of its newest checkpoint."""
    lasts = [kept.last.key for kept in checkpoints]
    older = [kept.best.key for kept in checkpoints[1:] if kept.best]
    return (*lasts, *older)


@dataclass(frozen=True)
class Transition:
    """The job took on `status` at `at` (unix seconds)."""

    status: Status
    at: float


@dataclass(frozen=True)
class Progress:
    """The progress of a run. `eta_seconds` assumes that all epochs run within max_seconds: early stopping can only
    shorten it.
    """

    epoch: int
    epochs: int
    fraction: float
    eta_seconds: float | None
    images_per_second: float | None


@dataclass(frozen=True)
class Waste:
    """Epochs, seconds, training images and (if a GPU measures them) joules spent after the best epoch. `share` is the
    share of these seconds in those of all epochs. Some waste is needed: only later epochs show which one was best.
    """

    epochs: int
    seconds: float
    images: int
    share: float
    joules: float | None


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Status
    stop_reason: StopReason
    error: Failure | None = None


def kept_average(status: Status, average: Average | None) -> Average | None:
    """The average of several epochs if it is the model kept. A job that did not succeed has the model of its best
    epoch, also if it had made an average.
    """
    return average if status is Status.SUCCEEDED and average is not None and average.is_kept else None


@dataclass(frozen=True)
class Mark:
    """What tells two states of a job apart: a queued job also changes with the queue and with the live workers."""

    status: Status
    version: int
    jobs_ahead: int | None
    shortfall: str | None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True)
class Job:
    """One job as stored. Times are unix seconds; `version` grows with every change and numbers its events.

    Jobs with the same `split` are validated on the same images, and tested on the same with the same `test_split`.
    `patch` changed the spec of the `parent`, by an `advice` or not; `arm` is the job's arm in its `ablation`.
    `folds` is its cross-validation, and `trial` its number in its `fit`, from 1.
    `shortfall` says why no live worker can hold a queued job.
    """

    id: str
    tenant: str
    spec: JobSpec
    status: Status
    phase: Phase | None
    stop_reason: StopReason | None
    error: Failure | None
    attempt: int
    version: int
    cancel_requested: bool
    pause_requested: bool
    lost_attempts: tuple[LostAttempt, ...]
    releases: int
    warnings: tuple[str, ...]
    jobs_ahead: int | None
    shortfall: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    best: Epoch | None
    last: Epoch | None
    transitions: tuple[Transition, ...]
    facts: Facts | None
    waste: Waste | None
    split: str | None
    test_split: str | None
    parent: str | None
    patch: Sequence[Mapping[str, Any]] | None
    advice: str | None
    ablation: str | None
    arm: str | None
    folds: str | None
    fit: str | None
    trial: int | None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def mark(self) -> Mark:
        return Mark(self.status, self.version, self.jobs_ahead, self.shortfall)

    @property
    def kept(self) -> Epoch | None:
        """The best epoch, with the validation scores of the average of several epochs if that is the model kept."""
        average = kept_average(self.status, self.facts.average if self.facts else None)
        if self.best is None or average is None:
            return self.best
        return replace(self.best, val_change_se=None, monitored_se=None, **average.scores)

    def _left(self, last: Epoch) -> float:
        """Seconds of the epochs that are left, or until max_seconds, if each takes as long as the last one."""
        by_epochs = (self.spec.epochs - last.epoch) * last.seconds
        if self.spec.max_seconds is None:
            return by_epochs
        return min(by_epochs, max(0.0, self.spec.max_seconds - last.epoch * last.seconds))

    @property
    def progress(self) -> Progress:
        done, total = (self.last.epoch if self.last else 0), self.spec.epochs
        running = self.status is Status.RUNNING and self.last is not None
        return Progress(
            epoch=done,
            epochs=total,
            fraction=1.0 if self.status is Status.SUCCEEDED else done / total,
            eta_seconds=self._left(self.last) if running and self.last else None,
            images_per_second=self.last.images_per_second if self.last else None,
        )
