"""A job as it is submitted: its spec, its plan and its origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.records.plan import Plan
from service.core.records.splits import Splits
from service.core.spec import JobSpec


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's own name for a request, and the SHA-256 of the request."""

    key: str
    digest: str


@dataclass(frozen=True)
class Origin:
    """The origin of a job: the request that submitted it and, if any, its parent or its experiment.

    A fork has a `parent` and the JSON Patch (RFC 6902) of the parent's spec, perhaps that of an `advice`; the job of
    an ablation has its `ablation`, its `arm` and the patch of that arm; the job of a cross-validation has its `folds`;
    a `trial` of a `fit` has both.
    """

    parent: str | None = None
    patch: Sequence[Mapping[str, Any]] | None = None
    advice: str | None = None
    ablation: str | None = None
    arm: str | None = None
    folds: str | None = None
    fit: str | None = None
    trial: int | None = None
    request_id: str | None = None
    traceparent: str | None = None


NOWHERE = Origin()


@dataclass(frozen=True)
class NewJob:
    """A job to be queued. `memory_bytes` and `threads` are the needs of each of its processes, None if unknown. After
    the epoch `pause_after` the job is paused (None: after none). A job that `scores` another one trains nothing: it
    scores the model of that job on the test images.
    """

    spec: JobSpec
    warnings: Sequence[str] = ()
    splits: Splits = Splits(None, None)  # noqa: RUF009 - frozen
    memory_bytes: int | None = None
    origin: Origin = NOWHERE
    threads: int | None = None
    pause_after: int | None = None
    scores: str | None = None

    @classmethod
    def planned(cls, plan: Plan, origin: Origin = NOWHERE) -> "NewJob":
        """The job that a plan describes."""
        return cls(plan.spec, plan.warnings, plan.splits, plan.memory.process_bytes, origin, plan.threads)
