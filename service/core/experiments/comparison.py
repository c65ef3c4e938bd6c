"""Compares jobs with a first one: the fields that differ, and the difference of the results with its noise."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.core.records.epoch import Epoch
from service.core.records.job import Job, Status, StopReason, Waste
from service.core.records.plan import Z
from service.core.spec.diff import Differing, differing

MOST_FIELDS = 5  # in a sentence
LONGEST_VALUE = 40  # characters of one in a sentence
ABSENT = "absent"


class DifferenceVerdict(StrEnum):
    """A job's best val_loss compared with that of the first job."""

    BETTER = "better beyond noise"  # the interval of the difference is below 0
    WORSE = "worse beyond noise"  # it is above 0
    SAME = "no difference beyond noise"
    UNKNOWN = "cannot be told"  # no best epoch, no noise recorded, or images of another data set


@dataclass(frozen=True)
class Compared:
    """One of the jobs. `epochs` and `seconds` count completed epochs. `same_split_as_first` says whether it was
    validated on the images of the first job, None if that is not recorded.
    """

    id: str
    name: str | None
    status: Status
    stop_reason: StopReason | None
    epochs: int
    seconds: float
    best: Epoch | None
    waste: Waste | None
    same_split_as_first: bool | None


@dataclass(frozen=True)
class Difference:
    """The best epoch of `job` minus that of the first job, `against`. Unknown values are None.

    `val_loss` is in nats, and negative is better; `accuracy_points` is in percentage points. A standard error is the
    root of the sum of both squares, as for two independent samples. For two jobs validated on the same images it is
    too large (conservative): the paired error needs the loss of each image, which is not recorded. `interval` is the
    95 % interval of `val_loss`. `note` states the limits of the comparison.
    """

    job: str
    against: str
    same_split: bool | None
    val_loss: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    accuracy_points: float | None
    accuracy_standard_error: float | None
    verdict: DifferenceVerdict
    note: str


@dataclass(frozen=True)
class Comparison:
    """`spec` has the fields that differ; `differences` and `summary` have an entry for each job after the first."""

    spec: tuple[Differing, ...]
    jobs: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    summary: tuple[str, ...]


def compare(jobs: Sequence[Job], seconds: Mapping[str, float]) -> Comparison:
    """Compare two or more distinct jobs with the first; `seconds` are the durations of their epochs by job id."""
    first, *others = jobs
    specs = {job.id: job.spec.to_dict() for job in jobs}
    differences = tuple(_difference(job, first) for job in others)
    return Comparison(
        spec=differing(specs),
        jobs=tuple(_compared(job, first, seconds.get(job.id, 0.0)) for job in jobs),
        differences=differences,
        summary=tuple(
            _sentence(job, first, differing({key: specs[key] for key in (first.id, job.id)}), difference)
            for job, difference in zip(others, differences, strict=True)
        ),
    )


def _compared(job: Job, first: Job, seconds: float) -> Compared:
    return Compared(
        id=job.id,
        name=job.spec.name,
        status=job.status,
        stop_reason=job.stop_reason,
        epochs=job.last.epoch if job.last else 0,
        seconds=seconds,
        best=job.best,
        waste=job.waste,
        same_split_as_first=_same_split(job, first),
    )


def _same_split(job: Job, first: Job) -> bool | None:
    if job.id == first.id:
        return True
    return None if job.split is None or first.split is None else job.split == first.split


def _difference(job: Job, first: Job) -> Difference:
    loss, error = _val_loss(job.best, first.best)
    points, points_error = _accuracy(job, first)
    interval = None if loss is None or error is None else (loss - Z * error, loss + Z * error)
    return Difference(
        job=job.id,
        against=first.id,
        same_split=_same_split(job, first),
        val_loss=loss,
        standard_error=error,
        interval=interval,
        accuracy_points=points,
        accuracy_standard_error=points_error,
        verdict=_verdict(interval) if job.spec.dataset.id == first.spec.dataset.id else DifferenceVerdict.UNKNOWN,
        note=_note(job, first, loss, error),
    )


def _val_loss(best: Epoch | None, firsts: Epoch | None) -> tuple[float | None, float | None]:
    """(difference of the losses, its standard error)"""
    if best is None or firsts is None or best.val_loss is None or firsts.val_loss is None:
        return None, None
    known = best.val_loss_se is not None and firsts.val_loss_se is not None
    error = math.hypot(best.val_loss_se or 0.0, firsts.val_loss_se or 0.0) if known else None
    return best.val_loss - firsts.val_loss, error


def _accuracy(job: Job, first: Job) -> tuple[float | None, float | None]:
    """(difference of the accuracies, its binomial standard error), in percentage points"""
    if not (job.best and first.best) or job.best.val_accuracy is None or first.best.val_accuracy is None:
        return None, None
    own, firsts = _accuracy_variance(job), _accuracy_variance(first)
    error = None if own is None or firsts is None else 100 * math.sqrt(own + firsts)
    return 100 * (job.best.val_accuracy - first.best.val_accuracy), error


def _accuracy_variance(job: Job) -> float | None:
    """The binomial variance of the best epoch's validation accuracy, None if accuracy or images are not known."""
    images = job.facts.images.get("validation") if job.facts else None
    share = job.best.val_accuracy if job.best else None
    return share * (1 - share) / images if images and share is not None else None


def _verdict(interval: tuple[float, float] | None) -> DifferenceVerdict:
    if interval is None:
        return DifferenceVerdict.UNKNOWN
    low, high = interval
    return DifferenceVerdict.BETTER if high < 0 else DifferenceVerdict.WORSE if low > 0 else DifferenceVerdict.SAME


def _note(job: Job, first: Job, loss: float | None, error: float | None) -> str:
    same, said = _same_split(job, first), []
    if loss is None:
        without = " and ".join(one.id for one in (first, job) if one.best is None)
        said.append(f"There is no best epoch of {without}.")
    elif error is None:
        said.append("The noise of a val_loss was not recorded.")
    if job.spec.dataset.id != first.spec.dataset.id:
        said.append("Scored on images of another data set: such losses do not compare.")
    elif same is None:
        said.append("Whether both were scored on the same images is not recorded.")
    elif same:
        said.append("Scored on the same images: the interval, made as for two samples, is wider than it need be.")
    else:
        said.append("Scored on other images of the same data set: the comparison is of two samples.")
    living = [one.id for one in (first, job) if not one.is_terminal]
    if living:
        said.append(f"As it stands; not ended yet: {', '.join(living)}.")
    return " ".join(said)


def _sentence(job: Job, first: Job, changed: Sequence[Differing], difference: Difference) -> str:
    """The changes of a job against the first, and the result, in one sentence."""
    named = [
        f"{field.pointer} {_shortened(field, first.id)} → {_shortened(field, job.id)}"
        for field in changed[:MOST_FIELDS]
    ]
    more = f" and {len(changed) - MOST_FIELDS} more" if len(changed) > MOST_FIELDS else ""
    head = f"{job.id} against {first.id}: {', '.join(named) + more if named else 'the same spec'}"
    if difference.val_loss is None or job.best is None or first.best is None:
        return f"{head}; what it did {difference.verdict}."
    half = f" ± {Z * difference.standard_error:.4f} (95 %)" if difference.standard_error is not None else ""
    change = f"{first.best.val_loss:.4f} → {job.best.val_loss:.4f} ({difference.val_loss:+.4f}{half})"
    return (
        f"{head}; best val_loss {change}: "
        f"{difference.verdict}. Accuracy there {first.best.val_accuracy or 0:.1%} → {job.best.val_accuracy or 0:.1%}."
    )


def _shortened(field: Differing, job_id: str) -> str:
    if job_id not in field.values:
        return ABSENT
    value: Any = field.values[job_id]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
