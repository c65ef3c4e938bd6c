"""The trials of a fit as they stand: what each has reached, and why it was tried or left."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.experiments.fits.progress import ended_at
from service.core.records.fit import Fit, FitStep, StepKind, TrialResult
from service.core.records.job import TERMINAL, Status
from service.core.spec.patch import Operations
from service.core.text import counted


@dataclass(frozen=True)
class Standing:
    """A trial: its first job with what that has reached, and the mean of the objective over all of its trainings."""

    trial: int
    source: str
    job: str
    patch: Operations
    epochs: int
    of_epochs: int
    val_loss: float | None
    accuracy: float | None
    mean: float | None
    trainings: int
    state: str
    why: str


def standings(fit: Fit, results: Sequence[TrialResult]) -> list[Standing]:
    """The trials, the best first: those with the most trainings before those that were only tried once."""
    by_id = {result.id: result for result in results}
    found = [_standing(fit, step, by_id) for step in fit.steps if step.kind is StepKind.START]

    def order(each: Standing) -> tuple[Any, ...]:
        is_whole = each.state in ("trained", "kept")
        return (not is_whole, -each.trainings, each.mean is None, fit.request.lowered(each.mean or 0.0), each.trial)

    return sorted(found, key=order)


def outcome_words(fit: Fit, step: FitStep) -> str | None:
    """What came of a step, in words; None while its run is under way."""
    if step.outcome is None:
        return None
    if step.kind is StepKind.TEST:
        return step.outcome["detail"] or "scored"
    value, epochs = step.outcome["value"], step.outcome["epochs"]
    if value is None:
        return f"no result: {step.outcome['detail'] or 'it ended without a complete epoch'}"
    end = "paused" if step.until_epoch is not None and not step.outcome["is_over"] else "ended"
    return f"{fit.request.objective} {fit.request.lowered(value):.4g} after {counted(epochs, 'epoch')}, then {end}"


def _standing(fit: Fit, step: FitStep, by_id: Mapping[str, TrialResult]) -> Standing:
    own = [by_id[job_id] for job_id in _jobs(fit, step) if job_id in by_id]
    first = by_id.get(step.job_id or "")
    values = [result.value for result in own if result.value is not None]
    candidate = step.data["candidate"]
    return Standing(
        trial=step.trial or 0,
        source=candidate["source"],
        job=step.job_id or "",
        patch=candidate["patch"],
        epochs=first.epochs if first else 0,
        of_epochs=step.data["epochs"],
        val_loss=first.val_loss if first else None,
        accuracy=first.val_accuracy if first else None,
        mean=sum(values) / len(values) if values else None,
        trainings=len(values),
        state=_state(fit, step, first),
        why=step.data["why"],
    )


def _jobs(fit: Fit, step: FitStep) -> list[str]:
    """The ids of the jobs of a trial."""
    kinds = (StepKind.START, StepKind.REPEAT)
    return [each.job_id or "" for each in fit.steps if each.trial == step.trial and each.kind in kinds]


def _state(fit: Fit, step: FitStep, job: TrialResult | None) -> str:
    if fit.result and (best := fit.result.get("best")) and best["trial"] == step.trial:
        return "kept"
    if job is None:
        return "deleted"
    if job.status is Status.FAILED:
        return "failed"
    if _is_lost(fit, step) and job.status in (Status.PAUSED, Status.CANCELLED):
        return "lost"
    if job.status not in TERMINAL:
        return str(job.status)
    is_left = step.until_epoch is not None and not any(
        each.kind is StepKind.PROMOTE and each.trial == step.trial for each in fit.steps
    )
    if job.status is Status.CANCELLED:
        return "stopped early" if is_left else "cancelled"
    return "trained"


def _is_lost(fit: Fit, step: FitStep) -> bool:
    """Whether the first training of a trial was cut: its owner has paused or cancelled it. The fit itself cancels first
    parts when the finals begin.
    """
    kinds = (StepKind.START, StepKind.PROMOTE)
    finals_at = next((each.at for each in fit.steps if each.kind is StepKind.FINALS), math.inf)
    own = (each for each in fit.steps if each.trial == step.trial and each.kind in kinds)
    by_others = (each for each in own if each.until_epoch is None or ended_at(each) < finals_at)
    return any(each.outcome["is_over"] and each.outcome["value"] is None for each in by_others if each.outcome)
