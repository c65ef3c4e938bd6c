"""The learning curve of a job, from the tenant's other jobs that are validated on the same images."""

from collections.abc import Iterator
from dataclasses import replace

from service.core.diagnosis.learning_curve import LearningCurve, learning_curve
from service.core.records.job import Job
from service.core.spec import JobSpec
from service.core.spec.diff import essential
from service.core.sql.jobs.store import Store


def learning_curve_of(store: Store, job: Job) -> LearningCurve | None:
    """The learning curve through the jobs that differ from this one only in the number of training images."""
    spec = _without_train_limit(job)
    others = store.queries.with_same_split(job)
    return learning_curve(_points(other for other in others if _without_train_limit(other) == spec))


def _points(jobs: Iterator[Job]) -> Iterator[tuple[int, float]]:
    """(training images, best validation loss) of each job that has both."""
    for job in jobs:
        if job.facts and job.kept and job.kept.val_loss is not None:
            yield job.facts.images["train"], job.kept.val_loss


def _without_train_limit(job: Job) -> JobSpec:
    """The options that affect a loss, except for the number of training images."""
    return essential(replace(job.spec, dataset=replace(job.spec.dataset, train_limit=None)))
