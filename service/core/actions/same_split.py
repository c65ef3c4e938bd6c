"""What a tenant's other jobs tell of one: those that were scored on the same images."""

from collections.abc import Iterator
from dataclasses import replace

from service.core.diagnosis.learning_curve import LearningCurve, learning_curve
from service.core.records.job import Job
from service.core.spec import JobSpec
from service.core.spec.diff import essential
from service.core.sql.jobs.store import Store


def learnt_from(store: Store, job: Job) -> LearningCurve | None:
    """The learning curve through the jobs that differ from this one in nothing but their training images."""
    spec = _but_for_its_images(job)
    others = store.queries.with_same_split(job)
    return learning_curve(_points(other for other in others if _but_for_its_images(other) == spec))


def _points(jobs: Iterator[Job]) -> Iterator[tuple[int, float]]:
    for job in jobs:
        if job.facts and job.best and job.best.val_loss is not None:
            yield job.facts.images["train"], job.best.val_loss


def _but_for_its_images(job: Job) -> JobSpec:
    """What bears on a loss, but for the number of training images."""
    return essential(replace(job.spec, dataset=replace(job.spec.dataset, train_limit=None)))
