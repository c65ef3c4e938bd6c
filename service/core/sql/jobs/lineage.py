"""The family of a job: from the first one that it descends from to all that were forked from any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select

from service.core.errors import NotFound
from service.core.sql.tables import epochs, jobs

MOST = 1_000  # jobs that are told of; the one that was asked for and its ancestors before all others


@dataclass(frozen=True)
class Relative:
    """A job of a family with the measures of its best epoch (None without one). `patch` is of the parent's spec."""

    id: str
    parent: str | None
    advice: str | None
    patch: Sequence[Mapping[str, Any]] | None
    name: str | None
    status: str
    stop_reason: str | None
    created_at: float
    best_epoch: int | None
    best_val_loss: float | None
    best_val_accuracy: float | None


def family(c: Connection, tenant: str, job_id: str) -> tuple[Relative, ...]:
    """At most MOST jobs, the oldest first. Raises NotFound."""
    own = jobs.c.tenant == tenant
    if c.execute(select(jobs.c.id).where(own, jobs.c.id == job_id)).scalar() is None:
        raise NotFound(f"there is no job {job_id!r}")
    known: dict[str, None] = {job_id: None}
    parent: str | None = job_id
    while parent is not None and len(known) < MOST:
        parent = c.execute(select(jobs.c.parent).where(own, jobs.c.id == parent)).scalar()
        if parent is not None:
            known[parent] = None
    newest = list(known)
    while newest and len(known) < MOST:
        found = select(jobs.c.id).where(own, jobs.c.parent.in_(newest)).order_by(jobs.c.seq).limit(MOST)
        newest = [child for child in c.execute(found).scalars() if child not in known][: MOST - len(known)]
        known |= dict.fromkeys(newest)
    return _told(c, known)


def _told(c: Connection, ids: Mapping[str, None]) -> tuple[Relative, ...]:
    source = jobs.outerjoin(epochs, and_(epochs.c.job_id == jobs.c.id, epochs.c.epoch == jobs.c.best_epoch))
    wanted = select(
        jobs.c.id, jobs.c.parent, jobs.c.advice, jobs.c.patch, jobs.c.spec["name"].as_string().label("name"),
        jobs.c.status, jobs.c.stop_reason, jobs.c.created_at, jobs.c.best_epoch,
        epochs.c.val_loss.label("best_val_loss"), epochs.c.val_accuracy.label("best_val_accuracy"),
    ).select_from(source)  # fmt: skip
    rows = c.execute(wanted.where(jobs.c.id.in_(ids)).order_by(jobs.c.seq)).mappings()
    return tuple(Relative(**row) for row in rows)
