"""From a change of the base to the spec of a trial."""

from dataclasses import replace

from service.core.experiments.design import SEEDS
from service.core.records.fit import Trial
from service.core.records.fit_request import Candidate, FitRequest, Source
from service.core.records.submission import NewJob
from service.core.spec import Fold, JobSpec
from service.core.spec.patch import patched, plain

ANNEALED = ("cosine", "onecycle")  # schedules that end with small steps: a run that stops early misses the best ones


def anneals(request: FitRequest, candidate: Candidate) -> bool:
    """Whether the learning rate falls to almost nothing at the end of the trial's epochs."""
    named = [step["value"] for step in candidate.patch if step["path"] == "/schedule/name"]
    return (named[-1] if named else request.spec.schedule.name) in ANNEALED


def of_trial(job: NewJob, slots: int) -> NewJob:
    """The job of a trial: where several trials run side by side each has one thread, which trains most of them."""
    return replace(job, threads=1) if slots > 1 else job


def trial_spec(request: FitRequest, trial: Trial, repeat: int = 0) -> JobSpec:
    """The spec of a trial's first training, or of a repeat: with another seed, on the same images or another fold.

    All trainings of a fit draw their split from the seed of the base. Raises Invalid if the patch cannot be applied.
    """
    base = request.spec
    spec = JobSpec.from_dict(patched(plain(base), trial.candidate.patch))
    seed = base.seed or 0
    fold = Fold(request.folds, repeat) if request.folds else None
    stopping = spec.early_stopping
    if stopping is not None and spec.schedule.name in ANNEALED:
        stopping = replace(stopping, patience=trial.epochs)
    is_base = trial.candidate.source is Source.BASE
    return replace(
        spec,
        max_seconds=request.base_seconds if is_base else base.max_seconds,
        epochs=trial.epochs,
        seed=(seed + repeat) % SEEDS,
        dataset=replace(spec.dataset, split_seed=base.dataset.split_seed or seed, fold=fold),
        early_stopping=stopping,
    )
