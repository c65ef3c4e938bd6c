"""Counts of jobs, workers and data sets for monitoring. Their cost does not grow with the number of ended jobs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, literal, not_, select, union_all

from service.core.records.capacity import Capacity
from service.core.records.dataset import DatasetStatus
from service.core.records.job import TERMINAL, Status
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.jobs.claimable import fits_any
from service.core.sql.jobs.queue_order import TAKEN_FIRST
from service.core.sql.tables import IS_QUEUED, datasets, jobs, workers
from service.core.sql.worker_registry import live_workers

PRIORITIES = range(10)
HEAD = 1_000  # first queued jobs that are examined: a job that no worker can hold soon is one of them


@dataclass(frozen=True)
class Counts:
    """Counts of one moment. `queued` and `waits` are by priority; a wait is the seconds that the oldest job has been
    queued (0 if there is none). `jobs` counts those that have not ended, `busy` the live `workers` that hold a job,
    `unheld` those of the first HEAD queued jobs that no live worker can hold, `lapsed` the leases of lost workers.
    """

    queued: Mapping[int, int]
    unheld: int
    waits: Mapping[int, float]
    jobs: Mapping[Status, int]
    lapsed: int
    workers: int
    busy: int
    datasets: Mapping[DatasetStatus, int]


class QueueStats:
    """Counts jobs of all tenants."""

    def __init__(self, database: Database, alive_within: float) -> None:
        """A worker is alive if it was seen in the last `alive_within` seconds."""
        self._db = database
        self._alive_within = alive_within
        self._parts = _parts(alive_within)

    def take(self) -> Counts:
        """Count in one statement. It reads indices, and only rows of jobs that run or are first in the queue."""
        counts: dict[tuple[str, str], tuple[int, float]] = {}
        with self._db.read() as c:
            alive = live_workers(c, self._alive_within).values()
            for row in c.execute(union_all(*self._parts, _unheld(alive))):
                counts[row.what, row.which] = (row.number, row.seconds)

        def number(what: str, which: str = "") -> int:
            return counts.get((what, which), (0, 0.0))[0]

        waits = {priority: counts.get(("queued", str(priority)), (0, 0.0))[1] for priority in PRIORITIES}
        queued = {priority: number("queued", str(priority)) for priority in PRIORITIES}
        return Counts(
            queued=queued,
            unheld=number("unheld"),
            waits={priority: max(0.0, seconds) for priority, seconds in waits.items()},
            jobs={Status.QUEUED: sum(queued.values())}
            | {status: number("jobs", status) for status in (Status.RUNNING, Status.PAUSED)},
            lapsed=number("lapsed"),
            workers=number("workers"),
            busy=number("busy"),
            datasets={status: number("datasets", status) for status in DatasetStatus},
        )

    def ended(self) -> Mapping[Status, int]:
        """Count the ended jobs. Reads an index entry of each, which takes seconds for many millions."""
        query = (
            select(jobs.c.status, func.count().label("number"))
            .where(jobs.c.status.in_(TERMINAL))
            .group_by(jobs.c.status)
        )
        with self._db.read() as c:
            counts = {row.status: row.number for row in c.execute(query)}
        return {status: counts.get(status, 0) for status in sorted(TERMINAL)}


def _parts(alive_within: float) -> tuple[Select[Any], ...]:
    is_running, is_alive = jobs.c.status == Status.RUNNING, workers.c.seen_at > now() - alive_within
    waited = now() - func.min(func.coalesce(jobs.c.queued_at, jobs.c.created_at))
    by_status, holders = jobs.c.status.in_((Status.RUNNING, Status.PAUSED)), select(workers.c.id).where(is_alive)
    known = datasets.c.status.in_(tuple(DatasetStatus))
    return (
        _count("queued", jobs.c.priority, seconds=waited).where(IS_QUEUED).group_by(jobs.c.priority),
        _count("jobs", jobs.c.status).where(by_status).group_by(jobs.c.status),
        _count("lapsed").where(is_running, jobs.c.lease_until < now()),
        _count("workers").where(is_alive),
        _count("busy", number=func.count(jobs.c.worker.distinct())).where(and_(is_running, jobs.c.worker.in_(holders))),
        _count("datasets", datasets.c.status).where(known).group_by(datasets.c.status),
    )


def _unheld(alive: Iterable[Capacity]) -> Select[Any]:
    head = select(jobs.c.seq).where(IS_QUEUED).order_by(*TAKEN_FIRST).limit(HEAD).scalar_subquery()
    return _count("unheld").where(jobs.c.seq.in_(head), not_(fits_any(alive)))


def _count(
    what: str,
    which: ColumnElement[Any] | None = None,
    number: ColumnElement[int] | None = None,
    seconds: ColumnElement[float] | None = None,
) -> Select[Any]:
    columns: tuple[ColumnElement[Any], ...] = (
        literal(what).label("what"),
        cast("" if which is None else which, Text).label("which"),
        (func.count() if number is None else number).label("number"),
        (literal(0.0) if seconds is None else seconds).label("seconds"),
    )
    return select(*columns)
