"""Jobs and data sets past their retention: by the database's clock, in small batches, without those that are pinned."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, Text, and_, case, cast, exists, func, or_, select, true, update

from service.core.records.dataset import DatasetStatus
from service.core.records.job import TERMINAL, Status
from service.core.sql.clock import now
from service.core.sql.datasets import hidden
from service.core.sql.engine import Database
from service.core.sql.tables import artifacts, datasets, jobs, labels
from service.core.text import DAY

AT_ONCE = 100  # rows of one batch
PIN = ("keep", "true")  # the label of a job that is never deleted, nor its data set


class Expired(NamedTuple):
    """A job or a data set; the next batch continues after `seq`. `attempt` is the last one."""

    seq: int
    tenant: str
    id: str
    attempt: int


class Expiry:
    """Jobs that ended, and data sets that were last used, more than `days` ago. Batches are in the order of `seq`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def jobs(self, days: float, after: int) -> tuple[Expired, ...]:
        """Ended jobs."""
        return self._jobs(days, after, true())

    def jobs_with_checkpoints(self, days: float, after: int) -> tuple[Expired, ...]:
        """Ended jobs whose record still names a checkpoint."""
        return self._jobs(days, after, cast(jobs.c.checkpoints, Text) != "[]")

    def datasets(self, days: float, after: int) -> tuple[Expired, ...]:
        """Data sets that no job has used since. Sets that are being read are not among them."""
        columns = (datasets.c.seq, datasets.c.tenant, datasets.c.id, datasets.c.attempt)
        query = select(*columns).where(datasets.c.seq > after, _is_unused(days))
        with self._db.read() as c:
            return tuple(Expired(*row) for row in c.execute(query.order_by(datasets.c.seq).limit(AT_ONCE)))

    def take_job(self, days: float, job: Expired) -> bool:
        """Whether the job is unchanged and still expired; if so, it cannot be retried any more and its files can go."""
        for_good = case((jobs.c.status == Status.FAILED, Status.CANCELLED), else_=jobs.c.status)
        with self._db.write() as c:
            return c.execute(update(jobs).where(_still(days, job)).values(status=for_good)).rowcount == 1

    def take_dataset(self, days: float, dataset: Expired) -> bool:
        """Whether the data set is still expired; if so, no job can name it any more."""
        this = datasets.c.id == dataset.id
        with self._db.write() as c:
            c.execute(
                select(datasets.c.id).where(this).with_for_update()
            )  # a job that is submitted before the lock is seen below
            return c.execute(update(datasets).where(this, _is_unused(days)).values(hidden())).rowcount == 1

    def has_checkpoints(self, days: float, job: Expired) -> bool:
        """Whether the job is unchanged and still expired."""
        with self._db.read() as c:
            return c.execute(select(jobs.c.id).where(_still(days, job))).first() is not None

    def published(self, job_id: str) -> frozenset[str]:
        """The storage keys that a job's manifest names."""
        with self._db.read() as c:
            return frozenset(c.execute(select(artifacts.c.key).where(artifacts.c.job_id == job_id)).scalars())

    def forget_checkpoints(self, job: Expired) -> None:
        """Delete the record of the checkpoints of a job that is unchanged."""
        unchanged = and_(jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.status.in_(TERMINAL))
        with self._db.write() as c:
            c.execute(update(jobs).where(unchanged).values(checkpoints=[]))

    def known(self, kind: str, ids: Collection[str]) -> frozenset[str]:
        """The ids among these that are recorded; `kind` is jobs or datasets."""
        table = {"jobs": jobs, "datasets": datasets}[kind]
        with self._db.read() as c:
            return frozenset(c.execute(select(table.c.id).where(table.c.id.in_(ids))).scalars())

    def is_empty(self) -> bool:
        """Whether no job is recorded."""
        with self._db.read() as c:
            return c.execute(select(jobs.c.id).limit(1)).first() is None

    def _jobs(self, days: float, after: int, condition: ColumnElement[bool]) -> tuple[Expired, ...]:
        conditions = (jobs.c.seq > after, _has_ended(days), ~_is_pinned(), condition)
        query = select(jobs.c.seq, jobs.c.tenant, jobs.c.id, jobs.c.attempt).where(*conditions)
        with self._db.read() as c:
            return tuple(Expired(*row) for row in c.execute(query.order_by(jobs.c.seq).limit(AT_ONCE)))


def _has_ended(days: float) -> ColumnElement[bool]:
    return and_(jobs.c.status.in_(TERMINAL), jobs.c.finished_at < now() - days * DAY)


def _still(days: float, job: Expired) -> ColumnElement[bool]:
    return and_(jobs.c.id == job.id, jobs.c.attempt == job.attempt, _has_ended(days), ~_is_pinned())


def _is_unused(days: float) -> ColumnElement[bool]:
    since = now() - days * DAY
    lately = or_(jobs.c.status.not_in(TERMINAL), jobs.c.finished_at > since)
    return and_(
        datasets.c.status.in_([DatasetStatus.READY, DatasetStatus.FAILED]),
        datasets.c.created_at < since,
        func.coalesce(datasets.c.used_at, 0.0) < since,
        ~exists().where(jobs.c.dataset == datasets.c.id, or_(lately, _is_pinned())),
    )


def _is_pinned() -> ColumnElement[bool]:
    key, value = PIN
    return exists().where(labels.c.job_id == jobs.c.id, labels.c.key == key, labels.c.value == value)
