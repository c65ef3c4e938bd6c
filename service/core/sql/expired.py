"""Jobs, data sets and weights past their retention: by the database's clock, in small batches, but pinned ones."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Table, Text, and_, case, cast, exists, func, or_, select, true, update

from service.core.records.dataset import DatasetStatus
from service.core.records.job import TERMINAL, Status
from service.core.sql import datasets as of_datasets
from service.core.sql import weights as of_weights
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.running_fits import is_of_running_fit
from service.core.sql.tables import artifacts, datasets, jobs, labels, weights
from service.core.text import DAY

AT_ONCE = 100  # rows of one batch
PIN = ("keep", "true")  # the label of a job that is never deleted, nor what it uses
TABLES = {"jobs": jobs, "datasets": datasets, "weights": weights}  # by the folders of the storage


class Expired(NamedTuple):
    """A job, a data set or weights; the next batch continues after `seq`. `attempt` is the last one; 0: none."""

    seq: int
    tenant: str
    id: str
    attempt: int


class Expiry:
    """Jobs that ended, and data sets and weights that were last used, more than `days` ago, in the order of `seq`."""

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

    def weights(self, days: float, after: int) -> tuple[Expired, ...]:
        """Uploaded weights that no job has started from since."""
        columns = (weights.c.seq, weights.c.tenant, weights.c.id)
        query = select(*columns).where(weights.c.seq > after, _are_unused(days))
        with self._db.read() as c:
            rows = c.execute(query.order_by(weights.c.seq).limit(AT_ONCE))
            return tuple(Expired(*row, attempt=0) for row in rows)

    def take_job(self, days: float, job: Expired) -> bool:
        """Whether the job is unchanged and still expired; if so, it cannot be retried any more and its files can go."""
        for_good = case((jobs.c.status == Status.FAILED, Status.CANCELLED), else_=jobs.c.status)
        with self._db.write() as c:
            return c.execute(update(jobs).where(_still(days, job)).values(status=for_good)).rowcount == 1

    def take_dataset(self, days: float, dataset: Expired) -> bool:
        """Whether the data set is still expired; if so, no job can name it any more."""
        return self._hide(datasets, dataset.id, _is_unused(days), of_datasets.hidden())

    def take_weights(self, days: float, old: Expired) -> bool:
        """Whether the weights are still expired; if so, no job can name them any more."""
        return self._hide(weights, old.id, _are_unused(days), of_weights.hidden())

    def _hide(self, table: Table, owner: str, condition: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        this = table.c.id == owner
        with self._db.write() as c:
            # A job that is submitted before this lock is seen by the condition.
            c.execute(select(table.c.id).where(this).with_for_update())
            return c.execute(update(table).where(this, condition).values(values)).rowcount == 1

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
        """The ids among these that are recorded; `kind` is jobs, datasets or weights."""
        table = TABLES[kind]
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
    return and_(jobs.c.status.in_(TERMINAL), jobs.c.finished_at < now() - days * DAY, ~is_of_running_fit())


def _still(days: float, job: Expired) -> ColumnElement[bool]:
    return and_(jobs.c.id == job.id, jobs.c.attempt == job.attempt, _has_ended(days), ~_is_pinned())


def _is_unused(days: float) -> ColumnElement[bool]:
    is_read = datasets.c.status.in_([DatasetStatus.READY, DatasetStatus.FAILED])
    return and_(is_read, _no_job_uses(days, datasets, jobs.c.dataset))


def _are_unused(days: float) -> ColumnElement[bool]:
    return and_(weights.c.hidden_at.is_(None), _no_job_uses(days, weights, jobs.c.weights))


def _no_job_uses(days: float, table: Table, used: Column[str]) -> ColumnElement[bool]:
    """No job has used this row of the table since; `used` are the ids that jobs use."""
    since = now() - days * DAY
    lately = or_(jobs.c.status.not_in(TERMINAL), jobs.c.finished_at > since, is_of_running_fit())
    return and_(
        table.c.created_at < since,
        func.coalesce(table.c.used_at, 0.0) < since,
        ~exists().where(used == table.c.id, or_(lately, _is_pinned())),
    )


def _is_pinned() -> ColumnElement[bool]:
    key, value = PIN
    return exists().where(labels.c.job_id == jobs.c.id, labels.c.key == key, labels.c.value == value)
