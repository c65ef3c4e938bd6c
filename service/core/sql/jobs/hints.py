"""When the hints that jobs can be claimed are due."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, true, update

from service.core.records.capacity import Capacity
from service.core.records.job import Status
from service.core.sql.clock import now
from service.core.sql.jobs.claimable import fits_any, is_claimable
from service.core.sql.jobs.queue_order import TAKEN_FIRST
from service.core.sql.repository import Repository
from service.core.sql.tables import jobs


class JobHints(Repository):
    """The times of the hints of queued jobs."""

    def due_hints(self, window: int, older_than: float, workers: Collection[Capacity] = ()) -> tuple[str, ...]:
        """Of the first `window` claimable jobs that one of the workers can hold (no workers: of all claimable jobs),
        those whose hint is older than `older_than` seconds; they count as hinted now.
        """
        fitting = fits_any(workers) if workers else true()
        head = select(jobs.c.id, jobs.c.hinted_at).where(is_claimable(self._quotas), fitting)
        first = head.order_by(*TAKEN_FIRST).limit(window).subquery()
        with self._db.read() as c:
            due = c.execute(select(first.c.id).where(_is_stale(first.c.hinted_at, older_than))).scalars().all()
        if not due:
            return ()
        is_due = and_(jobs.c.id.in_(due), jobs.c.status == Status.QUEUED, _is_stale(jobs.c.hinted_at, older_than))
        with self._db.write() as c:
            hinted = update(jobs).where(is_due).values(hinted_at=now()).returning(jobs.c.id)
            return tuple(c.execute(hinted).scalars())

    def forget_hints(self, *job_ids: str) -> None:
        """The hints of these jobs, or of all jobs, did not arrive: they are due at once."""
        unhinted = update(jobs).where(jobs.c.status == Status.QUEUED).values(hinted_at=None)
        with self._db.write() as c:
            c.execute(unhinted.where(jobs.c.id.in_(job_ids)) if job_ids else unhinted)

    def defer_hint(self, job_id: str, older_than: float, seconds: float) -> None:
        """The hint of a queued job reached a worker that cannot hold it: it is due again (as in `due_hints`) after
        `seconds`.
        """
        hinted_at = now() - older_than + min(seconds, older_than)
        with self._db.write() as c:
            queued = and_(jobs.c.id == job_id, jobs.c.status == Status.QUEUED)
            c.execute(update(jobs).where(queued).values(hinted_at=hinted_at))


def _is_stale(hinted_at: ColumnElement[Any], older_than: float) -> ColumnElement[bool]:
    return or_(hinted_at.is_(None), hinted_at < now() - older_than)
