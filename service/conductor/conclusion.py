"""The end of a fit: which model is kept, and what the results prove."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from service.core.errors import StorageError
from service.core.evaluation.intervals import mean_interval, wilson
from service.core.evaluation.outcomes import Outcomes
from service.core.experiments.difference import interval
from service.core.experiments.fits.importance import importance
from service.core.experiments.fits.progress import TRAININGS, state_of
from service.core.experiments.fits.proof import Gain, candidates, fresh_looks, gain, looks, on_test
from service.core.experiments.fits.state import FitState
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.fit import BASE, Fit, FitStatus
from service.core.records.job import Job
from service.core.spec.parts import direction
from service.services import services

Result = Mapping[str, Any]


def conclude(fit: Fit) -> tuple[FitStatus, Result]:
    """The status and the result of a fit whose jobs have all ended."""
    state = state_of(fit, 0.0)
    jobs = {job.id: job for job in _jobs(fit)}
    base = _trained(fit, jobs, BASE)
    if not base:
        return (FitStatus.CANCELLED if fit.cancel_requested else FitStatus.FAILED), {"error": _why_failed(fit, jobs)}
    kept, won = _kept(fit, state, jobs, base)
    model, own = _model_of(fit, _trained(fit, jobs, kept))
    result = {
        "base": _shown(BASE, base[0], base),
        "best": _shown(kept, model, own),
        "gain": _as_json(won) if won else None,
        "importance": importance(fit.request, state.trials, state.runs),
        "test": _test(base[0], model),
    }
    return (FitStatus.CANCELLED if fit.cancel_requested else FitStatus.SUCCEEDED), result


def _jobs(fit: Fit) -> Sequence[Job]:
    ids = [job_id for job_id, _ in services().fits.jobs_of(fit.tenant, fit.id)]
    return services().store.queries.get_many(fit.tenant, ids)[0]


def _trained(fit: Fit, jobs: Mapping[str, Job], trial: int) -> list[Job]:
    """The jobs of a trial that have a best epoch, by the number of their repeat; a deleted job is left out."""
    steps = [step for step in fit.steps if step.kind in TRAININGS and step.trial == trial]
    by_repeat = {step.data.get("repeat", 0): jobs.get(step.job_id or "") for step in steps}
    return [job for _, job in sorted(by_repeat.items()) if job is not None and job.best is not None]


def _kept(fit: Fit, state: FitState, jobs: Mapping[str, Job], base: Sequence[Job]) -> tuple[int, Gain | None]:
    """The trial to keep with its gain: the first one that is proved to be better than the base, else the base.

    If none is proved, the gain is that of the best one, which is not kept.
    """
    first, is_fresh = None, bool(fit.request.folds) and any(run.repeat for run in state.runs)
    looked = fresh_looks(state.runs) if is_fresh else looks(state.runs)
    for trial in candidates(state.runs):
        pairs = _pairs(base, _trained(fit, jobs, trial), fit.request.spec.seed if is_fresh else None)
        guessing = base[0].facts.trivial_loss if base[0].facts else None
        found = gain(trial, pairs, guessing, fit.request.objective, looked) if pairs else None
        if found and found.is_proved:
            return trial, found
        first = first or found
    return BASE, first


def _pairs(base: Sequence[Job], own: Sequence[Job], but: int | None) -> list[tuple[Outcomes, Outcomes]]:
    """The outcomes of both on the validation images, for each training that both have and that left predictions.

    Trainings of both have the same seed; those with the seed `but` are left out.
    """
    of_base = {job.spec.seed: job for job in base if job.spec.seed != but}
    pairs = [(_outcomes(of_base[job.spec.seed]), _outcomes(job)) for job in own if job.spec.seed in of_base]
    return [(first, second) for first, second in pairs if first is not None and second is not None]


def _outcomes(job: Job, part: str = "validation") -> Outcomes | None:
    """The outcomes of a job's images of a part, None if it has left no predictions or none of that part."""
    published = services().store.queries.artifacts(job.tenant, job.id)
    artifact = next((each for each in published if each.name == PREDICTIONS), None)
    if artifact is None:
        return None
    try:
        found = services().predictions.outcomes(artifact, part)
    except StorageError:
        return None
    return found if len(found) > 1 else None


def _model_of(fit: Fit, own: Sequence[Job]) -> tuple[Job, Sequence[Job]]:
    """The job whose model is kept, and all jobs of its trial. Of several on the same images it is the best one."""
    if fit.request.folds:
        return own[0], own
    objective = fit.request.objective
    sign = 1 if direction(objective) == "min" else -1
    return min(own, key=lambda job: sign * _measure(job, objective)), own


def _measure(job: Job, name: str) -> float:
    value = getattr(job.best, name)
    return float(value) if value is not None else float("inf")


def _shown(trial: int, job: Job, own: Sequence[Job]) -> dict[str, Any]:
    """A trial as JSON. The mean is that of all of its trainings."""
    losses = [each.best.val_loss for each in own if each.best and each.best.val_loss is not None]
    best = job.best
    return {
        "trial": trial,
        "job": job.id,
        "patch": list(job.patch or ()),
        "val_loss": best.val_loss if best else None,
        "val_accuracy": best.val_accuracy if best else None,
        "mean_val_loss": sum(losses) / len(losses) if losses else None,
        "trainings": len(own),
    }


def _test(base: Job, best: Job) -> dict[str, Any] | None:
    """The scores of the kept model on the test images, and its difference to the base there."""
    scored, of_base = _outcomes(best, "test"), _outcomes(base, "test")
    if scored is None or best.facts is None or best.facts.test is None or best.best is None:
        return None
    optimism, its_error = best.facts.test.optimism(best.best)
    against = on_test((of_base, scored)) if of_base is not None and base.id != best.id else {}
    return {
        "images": len(scored),
        "loss": float(scored.loss.mean()),
        "loss_interval": list(mean_interval(scored.loss)),
        "accuracy": float(scored.is_right.mean()),
        "accuracy_interval": list(wilson(int(scored.is_right.sum()), len(scored))),
        "optimism": optimism,
        "optimism_interval": interval(optimism, its_error),
        "gain": {name: asdict(found) for name, found in against.items() if found} or None,
    }


def _as_json(won: Gain) -> dict[str, Any]:
    return {**asdict(won), "interval": list(won.interval), "is_proved": won.is_proved}


def _why_failed(fit: Fit, jobs: Mapping[str, Job]) -> dict[str, str]:
    """Why there is no model: the failure of the base, if it failed."""
    base = next((jobs.get(step.job_id or "") for step in fit.steps), None)
    if base is None:
        return {"code": "base_deleted", "detail": "the job of the base was deleted"}
    if base.error:
        return {"code": base.error.code, "detail": f"the base failed: {base.error.detail}"}
    return {"code": "no_result", "detail": f"the base ended as {base.status} without a complete epoch"}
