"""Numbers, times, statuses and titles as text for the pages."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask
from jinja2 import StrictUndefined

from service.core.records.ablation import BASE
from service.core.records.job import Job, Status
from service.core.records.lineage import Relative
from service.core.text import DAY, HOUR, MINUTE, counted, format_number, format_percent, format_size
from service.core.text.sentences import uncapitalized, unrepeated
from service.core.text.slug import slug
from service.schemas.answer_fields import format_time

NOTHING = "\u2013"  # an en dash
LONGEST_VALUE = 80
MARKS: Mapping[Status, str] = {  # shown with the word, so that a status does not depend on its colour
    Status.QUEUED: "…",
    Status.RUNNING: "▶",
    Status.PAUSED: "‖",
    Status.SUCCEEDED: "✓",
    Status.FAILED: "✕",
    Status.CANCELLED: "⊘",
}


def register_filters(app: Flask) -> None:
    """Make these functions filters of the templates."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    numbers: list[Callable[..., str]] = [number, percent, duration, ago, moment, size]
    texts: list[Callable[..., str]] = [value, words, sentence, mark, title, file_stem, counted, uncapitalized]
    app.jinja_env.filters.update({f.__name__: f for f in numbers + texts})
    app.jinja_env.filters["unrepeated"] = unrepeated


def number(value: float | None) -> str:
    """A loss or a difference of losses."""
    return format_number(value, NOTHING)


def percent(value: float | None) -> str:
    """A share from 0 to 1, in per cent."""
    return format_percent(value, NOTHING)


def duration(seconds: float | None) -> str:
    """A duration in its two largest units."""
    if seconds is None:
        return NOTHING
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min {seconds % MINUTE:.0f} s"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h {seconds % HOUR // MINUTE:.0f} min"
    return f"{seconds // DAY:.0f} d {seconds % DAY // HOUR:.0f} h"


def ago(at: float) -> str:
    """The time since a moment (unix seconds)."""
    passed = max(0.0, time.time() - at)
    if passed < MINUTE:
        return "just now"
    count, unit = (passed / MINUTE, "min") if passed < HOUR else (passed / HOUR, "h")
    return f"{passed / DAY:.0f} d ago" if passed >= DAY else f"{count:.0f} {unit} ago"


def moment(at: float | None) -> str:
    """A moment (unix seconds) as RFC 3339."""
    return NOTHING if at is None else format_time(at)


def size(count: float | None) -> str:
    """Bytes, in the largest unit that fits."""
    return format_size(count, NOTHING)


def value(given: Any) -> str:
    """A value of a spec as JSON, cut to LONGEST_VALUE characters."""
    text = json.dumps(given, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def words(name: str) -> str:
    """An identifier as words."""
    return str(name).replace("_", " ")


def title(job: Job | Relative) -> str:
    """The title of a job: its name, for a fork or an arm of an ablation with its change; without a name, the last
    characters of its id.
    """
    name = (job.spec.name if isinstance(job, Job) else job.name) or f"job {job.id[-6:]}"
    if isinstance(job, Job) and job.arm and job.arm != BASE:
        return f"{name} + {words(job.arm)}"
    if not job.parent:
        return name
    return f"{name} + {words(job.advice)}" if job.advice else f"{name} (fork)"


def file_stem(job: Job) -> str:
    """The beginning of the names of a job's downloaded files: its title in ASCII."""
    return slug(title(job)) or job.id


def titles(jobs: Sequence[Job]) -> dict[str, str]:
    """Distinct titles of several jobs, by id."""
    names = {job.id: title(job) for job in jobs}
    uses = Counter(names.values())
    return {job_id: f"{name} ({job_id[-6:]})" if uses[name] > 1 else name for job_id, name in names.items()}


def sentence(text: str) -> str:
    """An error message with a capital letter."""
    return text[:1].upper() + text[1:]


def mark(status: str) -> str:
    """The symbol of a status."""
    return MARKS[Status(status)]
