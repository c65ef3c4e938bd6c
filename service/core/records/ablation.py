"""Ablations: arms that differ from a base by one factor or by all of them, each run under several seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core.records.experiment import ExperimentStatus, is_whole, status_of
from service.core.records.job import Status, StopReason
from service.core.records.plan import Plan
from service.core.spec import JobSpec
from service.core.spec.patch import Operations

BASE, ALL = "base", "all"  # the arms that are not one factor alone


@dataclass(frozen=True)
class Arm:
    """One of the specs that are compared: the base's, patched."""

    name: str
    patch: Operations


@dataclass(frozen=True)
class Design:
    """The jobs of an ablation, in the order in which they are queued: seed by seed."""

    spec: JobSpec
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    jobs: tuple[tuple[Arm, Plan], ...]


@dataclass(frozen=True)
class Ablation:
    """One ablation as stored, at `created_at` (unix seconds), with the number of its jobs by status."""

    id: str
    spec: Mapping[str, Any]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    created_at: float
    counts: Mapping[Status, int]

    @property
    def factors(self) -> tuple[str, ...]:
        return tuple(arm.name for arm in self.arms if arm.name not in (BASE, ALL))

    @property
    def status(self) -> ExperimentStatus:
        return status_of(self.counts)


@dataclass(frozen=True)
class Run:
    """One job of an ablation, with the measures of its best epoch (None without one)."""

    id: str
    arm: str
    seed: int
    status: Status
    stop_reason: StopReason | None
    val_loss: float | None
    val_accuracy: float | None

    @property
    def result(self) -> float | None:
        """The val_loss that counts for the arm: that of a run that represents it, None for any other."""
        return self.val_loss if is_whole(self.status, self.stop_reason) else None
