"""Cross-validations: the folds of a data set, each validated by a job that trains on the others, under some seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from service.core.records.experiment import ExperimentStatus, is_whole, status_of
from service.core.records.job import Status, StopReason
from service.core.records.plan import Plan
from service.core.spec import JobSpec
from service.core.spec.parts import Monitor

MOST_SEEDS = 10  # with the most folds: 200 jobs
SCORES: tuple[str, ...] = get_args(Monitor)  # measures of the best epoch that are averaged over the folds


@dataclass(frozen=True)
class FoldsDesign:
    """The jobs of a cross-validation, in the order in which they are queued: seed by seed, fold by fold."""

    spec: JobSpec
    folds: int
    seeds: tuple[int, ...]
    jobs: tuple[Plan, ...]


@dataclass(frozen=True)
class CrossValidation:
    """One cross-validation as stored, at `created_at` (unix seconds), with the number of its jobs by status."""

    id: str
    spec: Mapping[str, Any]
    folds: int
    seeds: tuple[int, ...]
    created_at: float
    counts: Mapping[Status, int]

    @property
    def status(self) -> ExperimentStatus:
        return status_of(self.counts)


@dataclass(frozen=True)
class FoldRun:
    """The job that validates one fold under one seed, with `measures` of its best epoch (None without one)."""

    id: str
    seed: int
    fold: int
    status: Status
    stop_reason: StopReason | None
    measures: Mapping[str, float | None]

    @property
    def is_whole(self) -> bool:
        """Whether the run has a result that counts for its fold."""
        return is_whole(self.status, self.stop_reason) and self.measures["val_loss"] is not None
