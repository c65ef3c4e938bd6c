"""The list of jobs. The address holds the filters, so that it can be stored and shared."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request, url_for

from service.core.errors import Fault, Invalid
from service.core.records.job import Job, Status
from service.http.auth import tenant
from service.rendering.sparkline import path
from service.schemas.job_requests import is_label
from service.schemas.pages import cursor
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.format import title, titles

PAGE = 50  # jobs
POINTS = 32  # of a sparkline
LONGEST = 100  # characters of a search
LARGEST_CURSOR = 19  # digits; a shorter number fits 64 bits


@dataclass(frozen=True)
class Filters:
    """The filters in the address."""

    text: str
    statuses: tuple[Status, ...]
    label: str
    after: int | None
    sort: str = ""

    @classmethod
    def from_address(cls) -> "Filters":
        """Read the filters. Raises Invalid for an unknown status or a malformed label."""
        given = request.args
        unknown = [word for word in given.getlist("status") if word not in set(Status)]
        label = given.get("label", "").strip()[:LONGEST]
        faults = [Fault("/status", f"there is no status {word[:20]!r}", ", ".join(Status)) for word in unknown]
        if label and not is_label(label):
            faults.append(Fault("/label", f"{label!r} is not a label", "key=value"))
        if faults:
            raise Invalid(faults)
        text = given.get("q", "").replace("\0", "").strip()[:LONGEST]
        sort = given.get("sort", "")
        statuses = tuple(map(Status, given.getlist("status")))
        return cls(text, statuses, label, position(), sort if sort in SORTED else "")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.text or self.statuses or self.label)

    @property
    def words(self) -> str:
        """The filters and the order as a title; empty without any."""
        order = f"by {self.sort}" if self.sort else ""
        return ", ".join(filter(None, (self.text, self.label, *self.statuses, order)))

    def address(self, after: str | None, sort: str | None = None) -> str:
        """The address with the same filters, from another position on, and perhaps in another order."""
        order = self.sort if sort is None else sort
        pairs = [("q", self.text), ("label", self.label), ("after", after or ""), ("sort", order)]
        pairs += [("status", str(status)) for status in self.statuses]
        return f"{url_for('web.jobs')}?{urlencode([pair for pair in pairs if pair[1]])}"


def position() -> int | None:
    """The position in a list that the address holds, None for its start."""
    after = request.args.get("after", "")[1:]
    is_cursor = after.isascii() and after.isdigit() and len(after) < LARGEST_CURSOR
    return int(after) if is_cursor else None


@blueprint.get("/")
def jobs() -> str:
    """List jobs, newest first"""
    filters, store = Filters.from_address(), services().store
    label = [_pair(filters.label)] if filters.label else []
    listed = store.queries.list(tenant(), PAGE, filters.after, filters.statuses, label, filters.text)
    counts = store.queries.counts(tenant())
    sketches = store.queries.sparklines(listed.items, POINTS)
    verdicts = store.queries.verdicts(listed.items)
    names = {job.id: title(job) for job in listed.items} | titles([job for job in listed.items if job.parent])
    datasets = services().catalog.names(tenant(), (job.spec.dataset.id for job in listed.items))
    rows = [_row(job, sketches[job.id], names[job.id]) for job in listed.items]
    return page(
        "jobs",
        filters=filters,
        rows=sorted(rows, key=SORTED[filters.sort]) if filters.sort else rows,
        orders={name: filters.address(None, "" if filters.sort == name else name) for name in SORTED},
        counts=counts,
        total=sum(counts.values()),
        statuses=list(Status),
        datasets=datasets,
        verdicts=verdicts,
        next=filters.address(cursor(listed.next_seq)) if listed.next_seq else None,
        first=filters.address(None) if filters.after else None,
    )


def _row(job: Job, sketch: tuple[float, ...], title: str) -> dict[str, Any]:
    part, accuracy = _accuracy(job)
    return {
        "job": job,
        "title": title,
        "sketch": path(sketch),
        "labels": dict(job.spec.labels),
        "part": part,
        "accuracy": accuracy,
    }


def _least(value: float | None) -> float:
    """The place of a value in an ascending order; what is not known comes last."""
    return math.inf if value is None else value


def _most(value: float | None) -> float:
    """The place of a value in a descending order; what is not known comes last."""
    return math.inf if value is None else -value


SORTED: Mapping[str, Callable[[dict[str, Any]], Any]] = {  # orders of the rows of a page, by their names
    "name": lambda row: row["title"].lower(),
    "loss": lambda row: _least(row["job"].kept.val_loss if row["job"].kept else None),
    "accuracy": lambda row: _most(row["accuracy"]),
}


def _accuracy(job: Job) -> tuple[str, float | None]:
    """The part of the images with the best claim to tell how good the model is, and the accuracy on it."""
    if job.facts and job.facts.test:
        return "test", job.facts.test.accuracy
    return "validation", job.kept.val_accuracy if job.kept else None


def _pair(label: str) -> tuple[str, str]:
    key, _, value = label.partition("=")
    return key, value
