"""What differed between jobs and what it did, held against the noise of their validation losses."""

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
    """How a job's best val_loss stands to the first one's."""

    BETTER = "better beyond noise"  # the interval of the difference is below 0
    WORSE = "worse beyond noise"  # it is above 0
    SAME = "no difference beyond noise"
    UNKNOWN = "cannot be told"  # no best epoch, no noise recorded, or images of another data set


@dataclass(frozen=True)
class Compared:
    """One of the jobs. `epochs` and `seconds` are those of completed epochs; `same_split_as_first`: scored on the same
    images as the first, None where that is not recorded.
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
    """A job's best epoch against the first job's (`against`): its value minus the first's.

    `val_loss` is in nats, below 0 is better; `accuracy_points` in percentage points. Each standard error is the root
    of the sum of both squares, as for two samples. Where both were scored on the same images that is more than it is
    (conservative): how the two fared image by image is not recorded. `interval` is the 95 % interval of `val_loss`.
    None: not known. `note` says what must be borne in mind.
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
    """`spec` has what differs, `differences` and `summary` an entry for each job after the first."""

    spec: tuple[Differing, ...]
    jobs: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    summary: tuple[str, ...]


def compare(jobs: Sequence[Job], seconds: Mapping[str, float]) -> Comparison:
    """Hold two or more distinct jobs, as they stand, against the first; `seconds` are those of each one's epochs."""
    first, *others = jobs
    specs = {job.id: job.spec.to_dict() for job in jobs}
    differences = tuple(_difference(job, first) for job in others)
    return Comparison(
        spec=differing(specs),
        jobs=tuple(_compared(job, first, seconds.get(job.id, 0.0)) for job in jobs),
        differences=differences,
        summary=tuple(
            _sentence(job, first, differing({key: specs[key] for key in (first.id, job.id)}), found)
            for job, found in zip(others, differences, strict=True)
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
    variances = [
        share * (1 - share) / images
        for share, images in (
            (job.best.val_accuracy, _validation_images(job)), (first.best.val_accuracy, _validation_images(first)),
        ) if images
    ]  # fmt: skip
    error = 100 * math.sqrt(sum(variances)) if len(variances) == len((job, first)) else None
    return 100 * (job.best.val_accuracy - first.best.val_accuracy), error


def _validation_images(job: Job) -> int | None:
    return job.facts.images.get("validation") if job.facts else None


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


def _sentence(job: Job, first: Job, changed: Sequence[Differing], found: Difference) -> str:
    """What was changed and what came of it."""
    named = [
        f"{field.pointer} {_shortened(field, first.id)} → {_shortened(field, job.id)}"
        for field in changed[:MOST_FIELDS]
    ]
    more = f" and {len(changed) - MOST_FIELDS} more" if len(changed) > MOST_FIELDS else ""
    head = f"{job.id} against {first.id}: {', '.join(named) + more if named else 'the same spec'}"
    if found.val_loss is None or job.best is None or first.best is None:
        return f"{head}; what it did {found.verdict}."
    half = f" ± {Z * found.standard_error:.4f} (95 %)" if found.standard_error is not None else ""
    return (
        f"{head}; best val_loss {first.best.val_loss:.4f} → {job.best.val_loss:.4f} ({found.val_loss:+.4f}{half}): "
        f"{found.verdict}. Accuracy there {first.best.val_accuracy or 0:.1%} → {job.best.val_accuracy or 0:.1%}."
    )


def _shortened(field: Differing, job_id: str) -> str:
    if job_id not in field.values:
        return ABSENT
    value: Any = field.values[job_id]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
