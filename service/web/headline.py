"""The first score of a job's page: the share of right guesses, beside guessing and with its interval."""

from dataclasses import dataclass

from service.core.evaluation.evaluation import Evaluation
from service.core.evaluation.intervals import Interval, wilson
from service.core.records.job import Job

NEARLY_ALL = 0.97  # of what one constant guess leaves wrong


@dataclass(frozen=True)
class Headline:
    """`right` of `images` images of a part are guessed right. `guessing` is the share that one constant guess has."""

    part: str
    right: int
    images: int
    guessing: float
    interval: Interval

    @property
    def accuracy(self) -> float:
        return self.right / self.images

    @property
    def is_nearly_perfect(self) -> bool:
        """Whether nearly all images are right that one constant guess has wrong."""
        return self.accuracy - self.guessing >= NEARLY_ALL * (1 - self.guessing) > 0


def of_evaluation(part: str, evaluation: Evaluation) -> Headline:
    """The headline of published predictions."""
    images, scores = len(evaluation.outcomes), evaluation.scores
    right = int(evaluation.outcomes.is_right.sum())
    return Headline(part, right, images, evaluation.baseline.accuracy, scores.accuracy_interval)


def of_best_epoch(job: Job) -> Headline | None:
    """The headline of the best model so far, None if it is not known."""
    images = job.facts.images.get("validation") if job.facts else None
    if job.facts is None or job.kept is None or job.kept.val_accuracy is None or not images:
        return None
    right = round(job.kept.val_accuracy * images)
    return Headline("validation", right, images, job.facts.trivial_accuracy, wilson(right, images))
