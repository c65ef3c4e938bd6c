"""From the stored steps of a fit to the state that its decisions are made from."""

from collections.abc import Mapping
from typing import Any

from service.core.experiments.fits.lengths import Length
from service.core.experiments.fits.state import Finals, FitState
from service.core.records.experiment import is_whole
from service.core.records.fit import Fit, FitStep, Run, StepKind, Trial, TrialJob
from service.core.records.fit_request import Candidate
from service.core.records.job import TERMINAL

TRAININGS = (StepKind.START, StepKind.PROMOTE, StepKind.REPEAT)


def state_of(fit: Fit, time: float) -> FitState:
    """The state at `time`, in unix seconds."""
    request = fit.request
    lengths = (Length(step.data["epochs"], step.data["pauses"]) for step in fit.steps if step.kind is StepKind.LENGTH)
    tried = [step.data["candidate"]["patch"] for step in fit.steps if "candidate" in step.data]
    return FitState(
        request=request,
        length=next(lengths, None),
        trials=tuple(trial_of(step) for step in fit.steps if step.kind is StepKind.START),
        runs=tuple(_run(fit, step) for step in fit.steps if step.kind in TRAININGS),
        left=time_left(fit, time),
        refusals=_refusals(fit),
        finals=next((Finals(**step.data["finals"]) for step in fit.steps if step.kind is StepKind.FINALS), None),
        untried=tuple(recipe for recipe in request.recipes if list(recipe.patch) not in tried),
    )


def _refusals(fit: Fit) -> int:
    """How many changes in a row could not be run, up to now."""
    kinds = [step.kind for step in reversed(fit.steps)]
    return next((count for count, kind in enumerate(kinds) if kind is not StepKind.REFUSED), len(kinds))


def time_left(fit: Fit, time: float) -> float | None:
    """The seconds that are left of the budget, all of them before the first claim; None for a budget of jobs."""
    if fit.request.seconds is None:
        return None
    return fit.request.seconds - (max(0.0, time - fit.started_at) if fit.started_at else 0.0)


def trial_of(step: FitStep) -> Trial:
    """The trial that a step has started."""
    return Trial(step.trial or 0, Candidate.from_dict(step.data["candidate"]), step.data["epochs"])


def outcome_of(fit: Fit, job: TrialJob | None, until_epoch: int | None, time: float) -> dict[str, Any]:
    """The outcome of a step whose run is done, to be stored with the `time` now. The value is lower for better ones.

    A run that was cancelled or that failed has no value: it was not trained as far as those that it would be compared
    with. The same holds for a job that its owner has paused before `until_epoch`: the fit does not wait for it.
    """
    if job is None:
        gone = {"value": None, "is_over": True, "seconds": 0.0, "epochs": 0, "detail": "the job was deleted"}
        return gone | {"at": time}
    is_held = job.was_paused_before(until_epoch)
    is_cut = is_held or (job.status in TERMINAL and not is_whole(job.status, job.stop_reason))
    why_cut = "it was paused by its owner" if is_held else f"it was {job.status}"
    return {
        "value": None if job.best is None or is_cut else fit.request.lowered(job.best),
        "is_over": is_held or job.status in TERMINAL,
        "seconds": job.seconds,
        "epochs": job.epochs,
        "at": time,
        "detail": job.detail or (why_cut if is_cut else None),
    }


def ended_at(step: FitStep) -> float:
    """When the run of a step was done, in unix seconds; when it was decided if it is not."""
    at: float = (step.outcome or {}).get("at", step.at)
    return at


def job_of(fit: Fit, trial: int) -> str:
    """The id of the job that trains a trial first."""
    return next(step.job_id or "" for step in fit.steps if step.kind is StepKind.START and step.trial == trial)


def _run(fit: Fit, step: FitStep) -> Run:
    of_step: Mapping[str, Any] = step.outcome or {}
    return Run(
        trial=step.trial or 0,
        repeat=step.data.get("repeat", 0),
        is_first_part=step.until_epoch is not None,
        is_done=step.outcome is not None,
        value=of_step.get("value"),
        is_over=of_step.get("is_over", False),
        seconds=of_step.get("seconds", 0.0),
        epochs=of_step.get("epochs", 0),
    )
