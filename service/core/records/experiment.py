"""Experiments: several ordinary jobs that answer one question together. Ablations and folds are experiments."""

from collections.abc import Mapping
from enum import StrEnum

from service.core.records.job import TERMINAL, Status, StopReason


class ExperimentStatus(StrEnum):
    """The status of an experiment."""

    RUNNING = "running"  # some of its jobs have not ended
    DONE = "done"  # all have ended
    CANCELLED = "cancelled"  # all have ended, at least one of them cancelled


def status_of(counts: Mapping[Status, int]) -> ExperimentStatus:
    """The status of an experiment with these numbers of jobs by status."""
    if any(count for status, count in counts.items() if status not in TERMINAL):
        return ExperimentStatus.RUNNING
    return ExperimentStatus.CANCELLED if counts[Status.CANCELLED] else ExperimentStatus.DONE


def is_whole(status: Status, stop_reason: StopReason | None) -> bool:
    """Whether a run represents its settings: it succeeded or diverged.

    A run that was cut short does not. A run that diverged does: divergence is a result of the settings, and the run
    kept its best model.
    """
    return status is Status.SUCCEEDED or stop_reason is StopReason.DIVERGED
