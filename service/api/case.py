"""The diagnosis of a job, for the views that return it and those that draw it."""

from collections.abc import Sequence
from dataclasses import replace

from service.core.diagnosis import Diagnosis, RunContext, diagnose
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.core.records.lineage import Family
from service.services import services

ALONE = Family()


def diagnose_job(job: Job, epochs: Sequence[Epoch], family: Family = ALONE) -> Diagnosis:
    """The diagnosis of a job from all of its epochs; final when the job has ended. `family` changes only the advice."""
    stop_reason = (job.stop_reason or job.status) if job.is_terminal else None
    case = replace(case_of(job), family=family)
    return diagnose(epochs, case, job.facts, stop_reason, services().submission.limits)


def case_of(job: Job) -> RunContext:
    """The input of the cures: the spec of a job and the known facts about its data."""
    contents = services().submission.contents(job.tenant, job.spec.dataset.id)
    return RunContext(job.spec, contents, job.facts, job.stop_reason)
