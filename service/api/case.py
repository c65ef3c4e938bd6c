"""The diagnosis of a job, for the views that return it and those that draw it."""

from collections.abc import Sequence

from service.core.diagnosis import Diagnosis, RunContext, diagnose
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.services import services


def diagnose_job(job: Job, epochs: Sequence[Epoch]) -> Diagnosis:
    """The diagnosis of a job from all of its epochs; final when the job has ended."""
    stop_reason = (job.stop_reason or job.status) if job.is_terminal else None
    return diagnose(epochs, case_of(job), job.facts, stop_reason, services().submission.limits)


def case_of(job: Job) -> RunContext:
    """The input of the advice: the spec of a job, the known facts about its data, and what its family tried."""
    contents = services().submission.contents(job.tenant, job.spec.dataset.id)
    tried = services().store.queries.tried(job.tenant, job.id)
    return RunContext(job.spec, contents, job.facts, job.stop_reason, tried)
