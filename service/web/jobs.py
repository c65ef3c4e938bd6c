"""The list of jobs: what is asked for stands in the address, so that it can be kept and sent."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request, url_for

from service.core.errors import Fault, Invalid
from service.core.records.job import Job, Status
from service.http.auth import tenant
from service.rendering.sparkline import path
from service.schemas.pages import cursor
from service.services import services
from service.web.blueprint import blueprint, page
from service.web.words import title, titles

PAGE = 50  # jobs
POINTS = 32  # of a sparkline
LONGEST = 100  # characters of what is searched for
LARGEST_CURSOR = 19


@dataclass(frozen=True)
class Wanted:
    """What the address asks for."""

    text: str
    statuses: tuple[Status, ...]
    label: str
    after: int | None

    @classmethod
    def from_address(cls) -> "Wanted":
        """Raises Invalid for a status or label that cannot be."""
        given = request.args
        unknown = [word for word in given.getlist("status") if word not in set(Status)]
        label = given.get("label", "").strip()[:LONGEST]
        faults = [Fault("/status", f"there is no status {word[:20]!r}", ", ".join(Status)) for word in unknown]
        if label and "=" not in label:
            faults.append(Fault("/label", f"{label!r} is not a label", "key=value"))
        if faults:
            raise Invalid(faults)
        after = given.get("after", "")[1:]
        is_cursor = after.isascii() and after.isdigit() and len(after) < LARGEST_CURSOR
        text = given.get("q", "").replace("\0", "").strip()[:LONGEST]
        return cls(text, tuple(map(Status, given.getlist("status"))), label, int(after) if is_cursor else None)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.text or self.statuses or self.label)

    def address(self, after: str | None) -> str:
        """The same question, from another place on."""
        pairs = [("q", self.text), ("label", self.label), ("after", after or "")]
        pairs += [("status", str(status)) for status in self.statuses]
        return f"{url_for('web.jobs')}?{urlencode([pair for pair in pairs if pair[1]])}"


@blueprint.get("/")
def jobs() -> str:
    """All jobs, the newest first"""
    wanted, store = Wanted.from_address(), services().store
    label = [_pair(wanted.label)] if wanted.label else []
    found = store.queries.list(tenant(), PAGE, wanted.after, wanted.statuses, label, wanted.text)
    counts = store.queries.counts(tenant())
    sketches = store.queries.sparklines(found.items, POINTS)
    called = {job.id: title(job) for job in found.items} | titles([job for job in found.items if job.parent])
    datasets = services().catalog.names(tenant(), (job.spec.dataset.id for job in found.items))
    return page(
        "jobs",
        wanted=wanted,
        rows=[_row(job, sketches[job.id], called[job.id]) for job in found.items],
        counts=counts,
        total=sum(counts.values()),
        statuses=list(Status),
        datasets=datasets,
        next=wanted.address(cursor(found.next_seq)) if found.next_seq else None,
        first=wanted.address(None) if wanted.after else None,
    )


def _row(job: Job, sketch: tuple[float, ...], title: str) -> dict[str, Any]:
    return {"job": job, "title": title, "sketch": path(sketch), "labels": dict(job.spec.labels)}


def _pair(label: str) -> tuple[str, str]:
    key, _, value = label.partition("=")
    return key, value
