"""How the service stands, counted in the database for whoever watches it: cheap, however many jobs have ended."""

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
HEAD = 1_000  # jobs; those that nobody takes are soon the first ones


@dataclass(frozen=True)
class Counts:
    """What one look found. `waits` has the seconds that the oldest job of each priority has been queued (0 for none),
    `jobs` those that have not ended, `busy` how many of the live `workers` hold a job, `unheld` how many of the first
    HEAD queued jobs none of them can hold.
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
        """A worker is alive that was seen in the last so many seconds."""
        self._db = database
        self._alive_within = alive_within
        self._parts = _parts(alive_within)

    def take(self) -> Counts:
        """Count what lives, in a statement that reads indices, and rows of jobs that run or are first in the queue."""
        found: dict[str, dict[str, tuple[int, float]]] = {}
        with self._db.read() as c:
            alive = live_workers(c, self._alive_within).values()
            for row in c.execute(union_all(*self._parts, _unheld(alive))):
                found.setdefault(row.what, {})[row.which] = (row.number, row.seconds)

        def number(what: str, which: str = "") -> int:
            return found.get(what, {}).get(which, (0, 0.0))[0]

        waits = {priority: found.get("queued", {}).get(str(priority), (0, 0.0))[1] for priority in PRIORITIES}
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
        """Count the ended jobs that are kept. Reads an index entry of each, which takes seconds for many millions."""
        wanted = (
            select(jobs.c.status, func.count().label("number"))
            .where(jobs.c.status.in_(TERMINAL))
            .group_by(jobs.c.status)
        )
        with self._db.read() as c:
            found = {row.status: row.number for row in c.execute(wanted)}
        return {status: found.get(status, 0) for status in sorted(TERMINAL)}


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
    what: str, which: ColumnElement[Any] | None = None, number: ColumnElement[int] | None = None,
    seconds: ColumnElement[float] | None = None,
) -> Select[Any]:  # fmt: skip
    columns: tuple[ColumnElement[Any], ...] = (
        literal(what).label("what"),
        cast("" if which is None else which, Text).label("which"),
        (func.count() if number is None else number).label("number"),
        (literal(0.0) if seconds is None else seconds).label("seconds"),
    )
    return select(*columns)
