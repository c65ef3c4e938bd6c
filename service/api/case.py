"""The diagnosis of a job, for the views that return it and those that draw it."""

from collections.abc import Sequence
from dataclasses import replace

from service.core.diagnosis import Diagnosis, RunContext, diagnose
from service.core.diagnosis.pretrained_patch import COLORS, may_gain_from_weights
from service.core.experiments.fits.learned import tallies
from service.core.records.dataset import Contents
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.core.records.weights import Weights
from service.services import services

MOST_WEIGHTS = 20  # that are looked at, the newest


def diagnose_job(job: Job, epochs: Sequence[Epoch]) -> Diagnosis:
    """The diagnosis of a job from all of its epochs; final when the job has ended."""
    return _diagnosed(job, epochs, case_of(job))


def diagnose_with_past(job: Job, epochs: Sequence[Epoch]) -> Diagnosis:
    """The same with the advice in an order that knows what was tried before: in the job's family, and in fits."""
    case = case_of(job)
    lessons = services().lessons.newest(job.tenant)
    known = tallies(lessons, job.spec, case.contents.shape[0]) if case.contents else {}
    family = services().store.queries.tried(job.tenant, job.id)
    return _diagnosed(job, epochs, replace(case, family=family, tallies=known))


def _diagnosed(job: Job, epochs: Sequence[Epoch], case: RunContext) -> Diagnosis:
    stop_reason = (job.stop_reason or job.status) if job.is_terminal else None
    return diagnose(epochs, case, job.facts, stop_reason, services().submission.limits)


def case_of(job: Job) -> RunContext:
    """The input of the cures: the spec of a job and the known facts about its data."""
    contents = services().submission.contents(job.tenant, job.spec.dataset.id)
    return RunContext(
        job.spec,
        contents,
        job.facts,
        job.stop_reason,
        weights=_weights(job, contents),
        has_published_weights=services().settings.published_weights,
    )


def _weights(job: Job, contents: Contents | None) -> Weights | None:
    """The newest weights of the tenant that the job could have started from, for pictures in color."""
    if contents is None or not may_gain_from_weights(job.spec, contents):
        return None
    newest = services().weights.list(job.tenant, MOST_WEIGHTS).items
    return next((weights for weights in newest if weights.channels == COLORS), None)
