"""What a job's losses show, for the views that tell it and those that draw it."""

from collections.abc import Sequence

from service.core.diagnosis import Case, Diagnosis, diagnose
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.services import services


def diagnosed(job: Job, epochs: Sequence[Epoch]) -> Diagnosis:
    """The diagnosis of a job by all of its epochs; final once it has ended."""
    stop_reason = (job.stop_reason or job.status) if job.is_terminal else None
    return diagnose(epochs, case(job), job.facts, stop_reason, services().submission.limits)


def case(job: Job) -> Case:
    """Its spec and what is known of its data: what there is to advise on."""
    contents = services().submission.contents(job.tenant, job.spec.dataset.id)
    return Case(job.spec, contents, job.facts, job.stop_reason)
