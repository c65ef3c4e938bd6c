"""The difference between the results of two jobs, with its noise: image by image where both have predictions of the
same images, otherwise as of two samples.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from service.core.evaluation.paired import McNemar, Paired, images_needed
from service.core.records.job import Job
from service.core.records.plan import Z

Interval = tuple[float, float]


class DifferenceVerdict(StrEnum):
    """A job's best val_loss compared with that of the first job."""

    BETTER = "better beyond noise"  # the interval of the difference is below 0
    WORSE = "worse beyond noise"  # it is above 0
    SAME = "no difference beyond noise"
    UNKNOWN = "cannot be told"  # no best epoch, no noise recorded, or images of another data set


@dataclass(frozen=True)
class Pairs:
    """The differences of two jobs on the images that both were scored on, None where the images differ."""

    validation: Paired | None = None
    test: Paired | None = None


NO_PAIRS = Pairs()


@dataclass(frozen=True)
class PartDifference:
    """The scores of a job minus those of the first job, on the images of one part. Unknown values are None.

    `loss` is in nats, and negative is better; accuracies are in percentage points. Intervals are 95 % ones over the
    images. With `is_paired` each image is compared with itself; otherwise a standard error is the root of the sum of
    both squares, as for two independent samples. `images` is the number of images of the smaller part, and
    `images_needed` the number with which such a loss would be beyond noise four times in five.
    """

    is_paired: bool
    images: int | None
    loss: float | None
    standard_error: float | None
    accuracy_points: float | None
    accuracy_standard_error: float | None
    accuracy_interval: Interval | None
    mcnemar: McNemar | None = None

    @property
    def interval(self) -> Interval | None:
        return interval(self.loss, self.standard_error)

    @property
    def better_probability(self) -> float | None:
        """The probability that the loss is lower on all such images, 0 to 1: the normal distribution of the
        difference, with all differences equally likely before.
        """
        if self.loss is None or not self.standard_error:
            return None
        return NormalDist().cdf(-self.loss / self.standard_error)

    @property
    def images_needed(self) -> int | None:
        if self.loss is None or self.standard_error is None or self.images is None:
            return None
        return images_needed(self.images, self.loss, self.standard_error)


@dataclass(frozen=True)
class Difference:
    """The best epoch of `job` minus that of the first job, `against`; `test` is None without a test of both on one data
    set. `note` states the limits of the comparison.
    """

    job: str
    against: str
    same_split: bool | None
    validation: PartDifference
    test: PartDifference | None
    verdict: DifferenceVerdict
    note: str


def difference(job: Job, first: Job, pairs: Pairs = NO_PAIRS) -> Difference:
    """Compare a job with another one, `pairs` being their differences image by image."""
    validation = of_pair(pairs.validation) if pairs.validation else _validation(job, first)
    one_set = job.spec.dataset.id == first.spec.dataset.id
    return Difference(
        job=job.id,
        against=first.id,
        same_split=True if pairs.validation else same_split(job, first),
        validation=validation,
        test=(of_pair(pairs.test) if pairs.test else _test(job, first)) if one_set else None,
        verdict=_verdict(validation.interval) if one_set else DifferenceVerdict.UNKNOWN,
        note=" ".join(_notes(job, first, validation)),
    )


def same_split(job: Job, first: Job) -> bool | None:
    """Whether both have the same validation images, None if that is not recorded."""
    if job.id == first.id:
        return True
    return None if job.split is None or first.split is None else job.split == first.split


def of_pair(pair: Paired) -> PartDifference:
    """The difference of two jobs on the same images."""
    low, high = pair.accuracy_interval
    return PartDifference(
        is_paired=True,
        images=pair.images,
        loss=pair.loss,
        standard_error=pair.standard_error,
        accuracy_points=100 * pair.accuracy,
        accuracy_standard_error=100 * pair.accuracy_standard_error,
        accuracy_interval=(100 * low, 100 * high),
        mcnemar=pair.mcnemar,
    )


@dataclass(frozen=True)
class _Scored:
    """The scores of one job on one part."""

    images: int | None
    loss: float | None
    error: float | None
    accuracy: float | None

    @property
    def accuracy_variance(self) -> float | None:
        """Binomial; None if the accuracy or the number of images is not known."""
        return self.accuracy * (1 - self.accuracy) / self.images if self.images and self.accuracy is not None else None


def _validation(job: Job, first: Job) -> PartDifference:
    return _two_samples(_best(job), _best(first))


def _best(job: Job) -> _Scored:
    images = job.facts.images.get("validation") if job.facts else None
    best = job.kept
    if best is None:
        return _Scored(images, None, None, None)
    return _Scored(images, best.val_loss, best.val_loss_se, best.val_accuracy)


def _test(job: Job, first: Job) -> PartDifference | None:
    own, firsts = _tested(job), _tested(first)
    return _two_samples(own, firsts) if own and firsts else None


def _tested(job: Job) -> _Scored | None:
    if job.facts is None or job.facts.test is None:
        return None
    test = job.facts.test
    return _Scored(job.facts.images.get("test"), test.loss, test.loss_se, test.accuracy)


def _two_samples(own: _Scored, firsts: _Scored) -> PartDifference:
    points = None if own.accuracy is None or firsts.accuracy is None else 100 * (own.accuracy - firsts.accuracy)
    variances = own.accuracy_variance, firsts.accuracy_variance
    error = None if variances[0] is None or variances[1] is None else 100 * math.sqrt(variances[0] + variances[1])
    return PartDifference(
        is_paired=False,
        images=min(own.images, firsts.images) if own.images and firsts.images else None,
        loss=None if own.loss is None or firsts.loss is None else own.loss - firsts.loss,
        standard_error=None if own.error is None or firsts.error is None else math.hypot(own.error, firsts.error),
        accuracy_points=points,
        accuracy_standard_error=error,
        accuracy_interval=interval(points, error),
    )


def interval(middle: float | None, error: float | None) -> Interval | None:
    """The 95 % interval of a value with this standard error, None if either is not known."""
    return None if middle is None or error is None else (middle - Z * error, middle + Z * error)


def _verdict(interval: Interval | None) -> DifferenceVerdict:
    if interval is None:
        return DifferenceVerdict.UNKNOWN
    low, high = interval
    return DifferenceVerdict.BETTER if high < 0 else DifferenceVerdict.WORSE if low > 0 else DifferenceVerdict.SAME


def _notes(job: Job, first: Job, validation: PartDifference) -> Iterator[str]:
    if validation.loss is None:
        without = " and ".join(one.id for one in (first, job) if one.best is None)
        yield f"There is no best epoch of {without}."
    elif validation.standard_error is None:
        yield "The noise of a val_loss was not recorded."
    yield _note_of_images(job, first, validation)
    living = [one.id for one in (first, job) if not one.is_terminal]
    if living:
        yield f"Preliminary: these jobs have not ended yet: {', '.join(living)}."


def _note_of_images(job: Job, first: Job, validation: PartDifference) -> str:
    if job.spec.dataset.id != first.spec.dataset.id:
        return "Scored on images of another data set, so the losses cannot be compared."
    if validation.is_paired:
        return f"Scored on the same {validation.images:,} images and compared image by image (paired)."
    same = same_split(job, first)
    if same is None:
        return "Whether both were scored on the same images is not recorded."
    if same:
        return "Scored on the same images, but not both jobs have predictions: the comparison is of two samples."
    return "Scored on other images of the same data set: the comparison is of two samples, not paired."
