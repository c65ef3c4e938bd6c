"""Compares jobs with a first one: the fields that differ, and the difference of the results with its noise."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.experiments.difference import (
    NO_PAIRS,
    Difference,
    DifferenceVerdict,
    Pairs,
    PartDifference,
    difference,
    same_split,
)
from service.core.records.epoch import Epoch
from service.core.records.job import Job, Status, StopReason, Waste
from service.core.records.plan import Z
from service.core.spec.diff import Differing, differing
from service.core.text import counted, first_of, format_about

MOST_FIELDS = 5  # in a sentence
LONGEST_VALUE = 40  # characters of one in a sentence
ABSENT = "absent"
HARDLY = "hardly different"  # a difference that is not larger than its standard error


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
class Comparison:
    """`spec` has the fields that differ; `differences` and `summary` have an entry for each job after the first."""

    spec: tuple[Differing, ...]
    jobs: tuple[Compared, ...]
    differences: tuple[Difference, ...]
    summary: tuple[str, ...]


def compare(jobs: Sequence[Job], seconds: Mapping[str, float], pairs: Mapping[str, Pairs]) -> Comparison:
    """Compare two or more distinct jobs with the first.

    By job id, `seconds` are the durations of their epochs, and `pairs` their differences from the first job where both
    were scored on the same images.
    """
    first, *others = jobs
    specs = {job.id: job.spec.to_dict() for job in jobs}
    differences = tuple(difference(job, first, pairs.get(job.id, NO_PAIRS)) for job in others)
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
        best=job.kept,
        waste=job.waste,
        same_split_as_first=same_split(job, first),
    )


def _sentence(job: Job, first: Job, changed: Sequence[Differing], measured: Difference) -> str:
    """The changes of a job against the first, and the result, in one sentence."""
    named = [f"{field.pointer} {_shortened(field, first.id)} → {_shortened(field, job.id)}" for field in changed]
    head = f"{job.id} against {first.id}: {first_of(named, MOST_FIELDS) or 'the same spec'}"
    validation = measured.validation
    if validation.loss is None or job.kept is None or first.kept is None:
        return f"{head}; its effect {measured.verdict}."
    change = f"{first.kept.val_loss:.4f} → {job.kept.val_loss:.4f} ({with_error(validation)})"
    accuracies = f"{first.kept.val_accuracy or 0:.1%} → {job.kept.val_accuracy or 0:.1%}"
    return (
        f"{head}; best val_loss {change}: {in_words(measured)}. Accuracy there {accuracies}{_with_images(validation)}."
    )


def with_error(part: PartDifference) -> str:
    """The difference of the losses with its 95 % interval, for example `-0.1000 ± 0.0277 (95 %, paired)`."""
    if part.loss is None:
        return ""
    kind = "95 %, paired" if part.is_paired else "95 %"
    half = f" ± {Z * part.standard_error:.4f} ({kind})" if part.standard_error is not None else ""
    return f"{part.loss:+.4f}{half}"


def in_short(measured: Difference) -> str:
    """The verdict in some words: what is not beyond the noise is likely or hardly different."""
    part = measured.validation
    if measured.verdict is not DifferenceVerdict.SAME or part.loss is None or not part.standard_error:
        return str(measured.verdict)
    if abs(part.loss) <= part.standard_error:
        return HARDLY
    return f"likely {_direction(part.loss)}"


def in_words(measured: Difference) -> str:
    """The verdict. Within the noise, also how probable it is that the difference is real, and how many images would
    probably settle it.
    """
    part, short = measured.validation, in_short(measured)
    if measured.verdict is not DifferenceVerdict.SAME or not part.loss or not part.images_needed:
        return short
    better = part.better_probability or 0.0
    chance = better if part.loss < 0 else 1 - better
    sure = f"{_direction(part.loss)} with a probability of {chance:.0%}" if short == HARDLY else f"{chance:.0%} sure"
    enough = format_about(part.images_needed)
    return f"{short} ({sure}); {part.images:,} validation images cannot settle it, about {enough} could"


def _direction(loss: float) -> str:
    return "better" if loss < 0 else "worse"


def _with_images(part: PartDifference) -> str:
    """The images that only one of the jobs gets right, and how probable that is by chance."""
    if part.mcnemar is None:
        return ""
    found = part.mcnemar
    chance = "below 0.001" if found.p_value < 0.001 else f"{found.p_value:.2g}"  # noqa: PLR2004
    gained = counted(found.gained, "image")
    return f" ({gained} gained, {found.lost} lost of {part.images:,}; by chance with probability {chance})"


def _shortened(field: Differing, job_id: str) -> str:
    if job_id not in field.values:
        return ABSENT
    value: Any = field.values[job_id]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
