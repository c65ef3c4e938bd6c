"""Fits: searches for the best model of a data set within a budget. Their trials are ordinary jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.core.records.job import Status, StopReason
from service.core.spec import JobSpec
from service.core.spec.parts import Monitor
from service.core.spec.patch import Operations

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
    FINALS = "finals"  # trains the leaders longer and repeats them


class Source(StrEnum):
    """Where a trial comes from."""

    BASE = "base"  # the spec of the request
    RECIPE = "recipe"  # a change that is known to be good
    CURE = "cure"  # advice of the diagnosis of an earlier trial
    SAMPLER = "sampler"  # drawn from the space
    LONGER = "longer"  # an earlier trial with more epochs


class StepKind(StrEnum):
    """What the conductor decided."""

    START = "start"  # a new trial; it may pause after its first epochs
    PROMOTE = "promote"  # a paused trial goes on to its last epoch
    REPEAT = "repeat"  # a trial is trained again, with another seed or on another fold
    LENGTH = "length"  # the number of epochs of the trials
    FINALS = "finals"  # no new changes are tried from here on
    REFUSED = "refused"  # a change that cannot be run


@dataclass(frozen=True)
class Range:
    """The values that an option may take in a fit: the `choices`, or else the numbers from `low` to `high`.

    `log`: drawn evenly on a logarithmic scale. Choices are plain JSON data.
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    is_whole: bool = False
    choices: tuple[Any, ...] = ()


Space = Mapping[str, Range]  # by the JSON pointer of the option in the spec


@dataclass(frozen=True)
class Candidate:
    """A change of the base spec (RFC 6902), where it comes from, and why it may help. `of` is the trial that it was
    made from, None for the base. `is_whole`: it runs to its last epoch without a pause.
    """

    patch: Operations
    source: Source
    why: str
    of: int | None = None
    is_whole: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Candidate":
        return cls(**{**data, "source": Source(data["source"])})


@dataclass(frozen=True)
class FitRequest:
    """What a fit is to do, with everything resolved when it was accepted, so that no release changes its decisions.

    The budget is `minutes` of wall time from the first claim, or a number of `jobs`. `seeds` is how often a leader is
    trained in all. With `folds`, each of these trainings validates on another fold. `recipes` are tried first, in this
    order. `slots` is the number of jobs that the live workers train side by side.
    """

    spec: JobSpec
    minutes: float | None
    jobs: int | None
    objective: Monitor
    seeds: int
    folds: int | None
    space: Space
    recipes: tuple[Candidate, ...]
    slots: int


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
    nothing can be resumed. `seconds` were spent on its epochs, those before a pause included.
    """

    trial: int
    repeat: int
    is_first_part: bool
    is_done: bool
    value: float | None = None
    is_over: bool = False
    seconds: float = 0.0


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


@dataclass(frozen=True)
class TrialJob:
    """A job of a fit: its status, and what its epochs have reached. `best` is the objective of the best one of the
    first `until_epoch` epochs.
    """

    id: str
    status: Status
    stop_reason: StopReason | None
    detail: str | None
    epochs: int
    seconds: float
    best: float | None


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
