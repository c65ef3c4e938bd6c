"""The end of a fit: which model is kept, and what the results prove."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.core.errors import StorageError
from service.core.evaluation.ensemble import LEADERS, Member, ensemble
from service.core.evaluation.interval_scores import interval_scores
from service.core.evaluation.outcomes import Outcomes
from service.core.experiments.difference import interval
from service.core.experiments.fits.importance import importance
from service.core.experiments.fits.progress import TRAININGS, job_of, state_of
from service.core.experiments.fits.proof import Claim, Gain, Images, candidates, claims, early_claim, gain
from service.core.experiments.fits.state import FitState
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.fit import BASE, Fit, FitStatus, StepKind
from service.core.records.job import Job
from service.core.spec.parts import LOSSES, Monitor
from service.core.storage import Artifact
from service.services import services

Result = Mapping[str, Any]


def conclude(fit: Fit) -> tuple[FitStatus, Result]:
    """The status and the result of a fit whose jobs have all ended."""
    state = state_of(fit, 0.0)
    result = {**_result(_Ended.of(fit)), "importance": importance(fit.request, state.trials, state.runs)}
    if fit.cancel_requested:
        return FitStatus.CANCELLED, result
    return (FitStatus.FAILED if "error" in result else FitStatus.SUCCEEDED), result


def untested(fit: Fit) -> list[Job]:
    """The jobs whose models a fit keeps, once its trainings have ended: those with test images that no step scores."""
    ended = _Ended.of(fit)
    result = _result(ended)
    models = ([result["best"]] if "best" in result else []) + (result.get("ensemble") or {"members": []})["members"]
    jobs = [ended.jobs[job_id] for job_id in dict.fromkeys(model["job"] for model in models)]
    return [
        job
        for job in jobs
        if job.facts and job.facts.images.get("test") and not job.facts.test and job.id not in ended.scoring
    ]


def has_proof(fit: Fit, state: FitState) -> bool:
    """Whether the first trainings prove already that the best trial so far is better than the base. False where it does
    not matter.
    """
    claim = early_claim(state)
    if claim is None:
        return False
    ended = _Ended.of(fit, [job_of(fit, trial) for trial in (BASE, claim.trial)])
    found = _gain(ended, ended.trained(BASE), claim)
    return found is not None and found.is_proved


@dataclass(frozen=True)
class _Ended:
    """The ended jobs of a fit and their published predictions, by the ids of the jobs."""

    fit: Fit
    jobs: Mapping[str, Job]
    predictions: Mapping[str, Artifact]

    @property
    def scoring(self) -> Mapping[str, str]:
        """The jobs that score others on the test images, by the ids of those."""
        return {step.data["of"]: step.job_id or "" for step in self.fit.steps if step.kind is StepKind.TEST}

    @classmethod
    def of(cls, fit: Fit, only: Sequence[str] = ()) -> "_Ended":
        queries = services().store.queries
        ids = only or [job_id for job_id, _ in services().fits.jobs_of(fit.tenant, fit.id)]
        jobs = {job.id: job for job in queries.get_many(fit.tenant, ids)[0]}
        return cls(fit, jobs, queries.published(fit.tenant, ids, PREDICTIONS))

    def trained(self, trial: int) -> list[Job]:
        """The jobs of a trial that have a result, by the number of their repeat. Deleted jobs are left out, and those
        that were cut: their models are not those of the trial.
        """
        whole = (step for step in self.fit.steps if step.outcome and step.outcome["value"] is not None)
        steps = [step for step in whole if step.kind in TRAININGS and step.trial == trial]
        by_repeat = {step.data.get("repeat", 0): self.jobs.get(step.job_id or "") for step in steps}
        return [job for _, job in sorted(by_repeat.items()) if job is not None and job.best is not None]

    def outcomes(self, job: Job, part: str = "validation") -> Outcomes | None:
        """The outcomes of a job's images of a part, None if it has left no predictions or none of that part."""
        if job.id not in self.predictions:
            return None
        try:
            found = services().predictions.outcomes(self.predictions[job.id], part)
        except StorageError:
            return None
        return found if len(found) > 1 else None

    def tested(self, model: Job) -> Job:
        """The job that has scored a model on the test images, if one has succeeded; else the job of the model, which
        scored them itself on a worker of release 0.1.0.
        """
        scoring = self.jobs.get(self.scoring.get(model.id, ""))
        return scoring if scoring and scoring.id in self.predictions else model


def _result(ended: _Ended) -> Result:
    fit, state, base = ended.fit, state_of(ended.fit, 0.0), ended.trained(BASE)
    if not base:
        return _without_base(ended)
    kept, won = _kept(ended, state, base)
    of_base, (model, own) = _model_of(fit, base), _model_of(fit, ended.trained(kept))
    return {
        "base": _shown(ended, BASE, *of_base),
        "best": _shown(ended, kept, model, own),
        "gain": _as_json(won) if won else None,
        "test": _test(ended, model),
        "ensemble": _ensemble(ended, state, kept, model) if fit.request.ensemble else None,
    }


def _ensemble(ended: _Ended, state: FitState, kept: int, model: Job) -> Result | None:
    """The ensemble of the kept model and the leaders, by their first trainings; None if it is no better."""
    leaders = [trial for trial in candidates(state.runs) if trial != kept][: LEADERS - 1]
    firsts = ((trial, own[0]) for trial in leaders if (own := ended.trained(trial)))
    members = [_member(ended, trial, job) for trial, job in ((kept, model), *firsts)]
    found = [member for member in members if member is not None]
    return ensemble(found) if members[0] is not None else None


def _member(ended: _Ended, trial: int, job: Job) -> Member | None:
    """A model of the ensemble, None without its predictions."""
    source = ended.tested(job).id
    if source not in ended.predictions:
        return None
    calibration = job.facts.calibration if job.facts else None
    try:
        found = services().predictions.read(ended.predictions[source])
    except StorageError:
        return None
    return Member(trial, job.id, calibration.temperature if calibration else 1.0, found)


def _without_base(ended: _Ended) -> Result:
    """The result of a fit whose base was cut: its model so far is kept, if there is one."""
    base = next((ended.jobs.get(step.job_id or "") for step in ended.fit.steps), None)
    if base is None or base.best is None or base.error is not None:
        return {"error": _why_failed(ended.fit, base)}
    shown = _shown(ended, BASE, base, [base])
    return {"base": shown, "best": shown, "gain": None, "test": _test(ended, base)}


def _kept(ended: _Ended, state: FitState, base: Sequence[Job]) -> tuple[int, Gain | None]:
    """The trial to keep with its gain: the best one that is proved to be better than the base, else the base.

    If none is proved, the gain is that of the first one that was tested.
    """
    proved: dict[int, Gain] = {}
    first = None
    for claim in claims(ended.fit.request, state.runs):
        found = _gain(ended, base, claim)
        first = first or found
        if found and found.is_proved:
            proved.setdefault(claim.trial, found)
    kept = next((trial for trial in candidates(state.runs) if trial in proved), BASE)
    return kept, proved.get(kept, first)


def _gain(ended: _Ended, base: Sequence[Job], claim: Claim) -> Gain | None:
    """The gain that a claim is about, from the trainings of both; None if they share no images."""
    objective, pairs = ended.fit.request.objective, _pairs(ended, base, ended.trained(claim.trial), claim.on)
    return gain(claim.trial, pairs, _guessing(base[0], objective), objective, claim.looks) if pairs else None


def _guessing(base: Job, objective: Monitor) -> float | None:
    """The loss of guessing by the shares of the classes, or the share of wrong guesses if the objective is no loss."""
    if base.facts is None:
        return None
    return base.facts.trivial_loss if objective in LOSSES else 1 - base.facts.trivial_accuracy


def _pairs(ended: _Ended, base: Sequence[Job], own: Sequence[Job], on: Images) -> list[tuple[Outcomes, Outcomes]]:
    """The outcomes of both on the validation images `on`, for each training that both have and that left predictions.

    Trainings of both have the same seed, the first ones that of the request.
    """

    def is_used(seed: int | None) -> bool:
        return on is Images.ALL or (seed == ended.fit.request.spec.seed) is (on is Images.OF_FIRST_FOLD)

    of_base = {job.spec.seed: job for job in base if is_used(job.spec.seed)}
    pairs = [(ended.outcomes(of_base[job.spec.seed]), ended.outcomes(job)) for job in own if job.spec.seed in of_base]
    return [(first, second) for first, second in pairs if first is not None and second is not None]


def _model_of(fit: Fit, own: Sequence[Job]) -> tuple[Job, Sequence[Job]]:
    """The job whose model is kept, and all jobs of its trial. Of several on the same images it is the best one."""
    if fit.request.folds:
        return own[0], own

    def place(job: Job) -> tuple[bool, float]:
        value = getattr(job.kept, fit.request.objective)
        return value is None, fit.request.lowered(value or 0.0)

    return min(own, key=place), own


def _shown(ended: _Ended, trial: int, job: Job, own: Sequence[Job]) -> dict[str, Any]:
    """A trial as JSON. The mean is that of all of its trainings. Intervals are 95 % ones over the validation images."""
    scored = ended.outcomes(job)
    intervals = interval_scores(scored) if scored is not None else {}
    losses = [each.kept.val_loss for each in own if each.kept and each.kept.val_loss is not None]
    best = job.kept
    return {
        "trial": trial,
        "job": job.id,
        "patch": list(job.patch or ()),
        "val_loss": best.val_loss if best else None,
        "val_loss_interval": intervals.get("loss_interval"),
        "val_accuracy": best.val_accuracy if best else None,
        "val_accuracy_interval": intervals.get("accuracy_interval"),
        "mean_val_loss": sum(losses) / len(losses) if losses else None,
        "trainings": len(own),
    }


def _test(ended: _Ended, best: Job) -> dict[str, Any] | None:
    """The scores of the kept model on the test images; None if they were not scored."""
    job = ended.tested(best)
    scored = ended.outcomes(job, "test")
    if scored is None or job.facts is None or job.facts.test is None or best.kept is None:
        return None
    optimism, its_error = job.facts.test.optimism(best.kept)
    return {
        "job": job.id,
        **interval_scores(scored),
        "optimism": optimism,
        "optimism_interval": interval(optimism, its_error),
    }


def _as_json(won: Gain) -> dict[str, Any]:
    return {**asdict(won), "interval": list(won.interval), "is_proved": won.is_proved}


def _why_failed(fit: Fit, base: Job | None) -> dict[str, str]:
    """Why there is no model: what became of the base."""
    if base is None:
        return {"code": "base_deleted", "detail": "the job of the base was deleted"}
    if base.error:
        return {"code": base.error.code, "detail": f"the base failed: {base.error.detail}"}
    why = (fit.steps[0].outcome or {}).get("detail") or f"it was {base.status}"
    return {"code": "no_result", "detail": f"the base has no complete epoch: {why}"}
