"""Fits: searches for the best model of a data set within a budget. Their trials are ordinary jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.core.records.fit_request import Candidate, FitRequest
from service.core.records.job import TERMINAL, Status, StopReason

BASE = 1  # the number of the trial that runs the base spec


class FitStatus(StrEnum):
    """The status of a fit."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"  # ended with a model
    FAILED = "failed"  # ended without one, `error` says why
    CANCELLED = "cancelled"  # ended by its owner, the best model so far is kept


class FitPhase(StrEnum):
    """What a running fit does."""

    SEARCH = "search"  # tries changes of the base
    FINALS = "finals"  # refines the leaders and repeats them


class StepKind(StrEnum):
    """What the conductor decided."""

    START = "start"  # a new trial; it may pause after its first epochs
    PROMOTE = "promote"  # a paused trial goes on to its last epoch
    REPEAT = "repeat"  # a trial is trained again, with another seed or on another fold
    LENGTH = "length"  # the number of epochs of the trials
    FINALS = "finals"  # no new changes are tried from here on
    REFUSED = "refused"  # a change that cannot be run
    TEST = "test"  # the kept model is scored on the test images


@dataclass(frozen=True)
class Trial:
    """A trial. `epochs` is its full length. Its number counts from 1."""

    number: int
    candidate: Candidate
    epochs: int


@dataclass(frozen=True)
class Run:
    """A training that the conductor asked for: of a trial on `repeat` 0 (to be resumed if it `is_first_part`) or more.

    `value` is the best objective so far, lower is better; None without one. `is_over`: its job has ended, so that
    nothing can be resumed. `seconds` were spent on its `epochs`, those before a pause included.
    """

    trial: int
    repeat: int
    is_first_part: bool
    is_done: bool
    value: float | None = None
    is_over: bool = False
    seconds: float = 0.0
    epochs: int = 0


@dataclass(frozen=True)
class FitStep:
    """A decision, as stored. `data` has the members `why` and, by its kind, `candidate`, `epochs` and `repeat`.

    `outcome` is set once the run has reached `until_epoch` (None: its end).
    """

    number: int
    at: float
    kind: StepKind
    trial: int | None
    job_id: str | None
    until_epoch: int | None
    data: Mapping[str, Any]
    outcome: Mapping[str, Any] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the step is done, so that it does not change any more."""
        return self.job_id is None or self.outcome is not None


@dataclass(frozen=True)
class TrialJob:
    """What a job of a fit has reached up to the epoch of a step, or so far.

    `epochs` are complete and took `seconds`; `best` is the best objective among them, None without one. `detail` says
    why the job failed. `started_at` is the time of its first claim in unix seconds.
    """

    id: str
    status: Status
    stop_reason: StopReason | None
    detail: str | None
    epochs: int
    seconds: float
    best: float | None
    started_at: float | None

    @property
    def is_at_rest(self) -> bool:
        """Whether the job has ended, or is paused."""
        return self.status in TERMINAL or self.status is Status.PAUSED

    def was_paused_before(self, epoch: int | None) -> bool:
        """Whether its owner has paused the job: before the epoch after which its fit pauses it (None: at its end)."""
        return self.status is Status.PAUSED and (epoch is None or self.epochs < epoch)


@dataclass(frozen=True)
class TrialResult:
    """A job of a fit with the measures of its best epoch so far, None without one, and the time of all epochs."""

    id: str
    status: Status
    epochs: int
    val_loss: float | None
    val_accuracy: float | None
    value: float | None
    seconds: float


@dataclass(frozen=True)
class Fit:
    """One fit as stored. Times are unix seconds; `version` grows with every change. `result` is that of the end."""

    id: str
    tenant: str
    name: str | None
    labels: Mapping[str, str]
    webhook: Mapping[str, Any] | None
    request: FitRequest
    status: FitStatus
    phase: FitPhase
    cancel_requested: bool
    attempt: int
    version: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    steps: Sequence[FitStep] = field(default=())
    result: Mapping[str, Any] | None = None

    @property
    def is_terminal(self) -> bool:
        return self.status is not FitStatus.RUNNING
