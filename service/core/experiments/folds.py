"""Cross-validations: their design, and the scores over all folds. Pure.

Nadeau and Bengio, "Inference for the Generalization Error" (2003): the runs share training images, so the variance of
their mean is larger than that of independent runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from service.core.errors import Fault, Invalid
from service.core.experiments.design import JobPlanner, drawn_seeds
from service.core.experiments.statistics import ERROR_RATE, t_quantile
from service.core.records.experiment import ExperimentStatus
from service.core.records.folds import SCORES, CrossValidation, FoldRun, FoldsDesign
from service.core.records.job import TERMINAL
from service.core.spec import Fold, JobSpec
from service.core.spec.parts import LOSSES


@dataclass(frozen=True)
class FoldScore:
    """The mean of a measure over `runs` runs, their standard deviation, and the 95 % interval of the mean.

    The interval is for the expected score of a model that is trained on as many images from the same source. Deviation
    and interval are None with fewer than two runs.
    """

    measure: str
    runs: int
    mean: float | None
    deviation: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class FoldResults:
    """The results of a cross-validation so far."""

    validation: CrossValidation
    runs: tuple[FoldRun, ...]
    scores: tuple[FoldScore, ...]
    summary: str


def design_folds(planner: JobPlanner, tenant: str, spec: JobSpec, folds: int, seeds: int) -> FoldsDesign:
    """A job for each of `folds` folds under each of `seeds` seeds. Raises Invalid with every fault of the spec."""

    def of_fold(index: int, seed: int | None) -> JobSpec:
        return replace(spec, seed=seed, dataset=replace(spec.dataset, fold=Fold(folds, index)))

    faults = list(planner.faults(tenant, of_fold(0, spec.seed)))
    if spec.dataset.fold is not None:
        faults.append(Fault("/dataset/fold", "each job gets a fold of its own", "null"))
    if faults:
        raise Invalid([replace(fault, pointer=f"/spec{fault.pointer}") for fault in faults])
    drawn = drawn_seeds(spec.seed, seeds)
    plans = (planner.plan(tenant, of_fold(index, seed)) for seed in drawn for index in range(folds))
    return FoldsDesign(spec, folds, drawn, tuple(plans))


def results(validation: CrossValidation, runs: Sequence[FoldRun]) -> FoldResults:
    """The scores over the runs that count."""
    whole = [run.measures for run in runs if run.is_whole]
    scores = tuple(
        score(name, [value for measures in whole if (value := measures[name]) is not None], validation.folds)
        for name in SCORES
    )
    return FoldResults(validation, tuple(runs), scores, _summary(validation, scores))


def score(measure: str, values: Sequence[float], folds: int) -> FoldScore:
    """The mean of the runs' values with its interval, by Student's t.

    The variance of the mean is s^2 (1/n + 1/(folds - 1)), with s^2 the variance of the n values and 1/(folds - 1) the
    number of validation images for each training image.
    """
    count = len(values)
    if count < 2:  # noqa: PLR2004 - one value has no spread
        return FoldScore(measure, count, values[0] if values else None, None, None)
    mean, deviation = fmean(values), stdev(values)
    half = t_quantile(1 - ERROR_RATE, count - 1) * deviation * math.sqrt(1 / count + 1 / (folds - 1))
    high = math.inf if measure in LOSSES else 1.0
    return FoldScore(measure, count, mean, deviation, (max(0.0, mean - half), min(high, mean + half)))


def _summary(validation: CrossValidation, scores: Sequence[FoldScore]) -> str:
    ended = sum(count for status, count in validation.counts.items() if status in TERMINAL)
    running = validation.status is ExperimentStatus.RUNNING
    start = f"{ended} of {sum(validation.counts.values())} jobs have ended. " if running else ""
    by_name = {each.measure: each for each in scores}
    loss, accuracy = by_name["val_loss"], by_name["val_accuracy"]
    if loss.interval is None or accuracy.interval is None:
        return f"{start}Too few results for an interval."
    of_loss = f"val_loss {loss.mean:.4g} nats ({loss.interval[0]:.4g} to {loss.interval[1]:.4g})"
    of_accuracy = f"val_accuracy {accuracy.mean:.1%} ({accuracy.interval[0]:.1%} to {accuracy.interval[1]:.1%})"
    return f"{start}Mean of {loss.runs} runs, with the 95 % interval: {of_loss}, {of_accuracy}."
