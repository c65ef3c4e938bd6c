"""The statements about experiments of any kind. Their jobs are ordinary jobs that carry the id of the experiment."""

import secrets
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Column, Connection, RowMapping, Table, delete, func, insert, select

from service.core.errors import Conflict, NotFound
from service.core.records.job import TERMINAL, Status
from service.core.records.page import Page
from service.core.records.submission import IdempotencyKey, NewJob
from service.core.sql.clock import now
from service.core.sql.jobs.insert import insert_job, job_of_key
from service.core.sql.paging import read_page
from service.core.sql.repository import Repository
from service.core.sql.tables import WITH_BEST, jobs
from service.core.sql.usage import refuse_another_job, refuse_more_messages

T = TypeVar("T")


class Experiments(Repository, Generic[T]):
    """The experiments of one kind, of all tenants. A kind says how its rows are read, and which of them may go."""

    table: ClassVar[Table]
    column: ClassVar[str]  # of jobs, with the id of the experiment; also the name in Job and in Origin
    noun: ClassVar[str]  # in messages
    prefix: ClassVar[str]  # of ids

    @abstractmethod
    def _read_all(self, c: Connection, rows: Sequence[RowMapping]) -> tuple[T, ...]:
        """The experiments of these rows."""

    @abstractmethod
    def _refuse_running(self, c: Connection, row: RowMapping) -> None:
        """Raises Conflict for an experiment that runs."""

    def submitted_with(self, tenant: str, key: IdempotencyKey) -> str | None:
        """The experiment of a former request with this key, which its first job carries. Raises KeyReused."""
        with self._db.read() as c:
            job = job_of_key(c, tenant, key)
        return getattr(job, self.column) if job else None

    def list(self, tenant: str, limit: int, before_seq: int | None = None) -> Page[T]:
        """A page of at most `limit` experiments, newest first."""
        query = select(self.table).where(self.table.c.tenant == tenant)
        with self._db.read() as c:
            return read_page(c, query, self.table.c.seq, limit, before_seq, self._read_all)

    def delete(self, tenant: str, experiment_id: str) -> None:
        """Delete an ended experiment; its jobs stay. Raises NotFound, and Conflict for one that runs."""
        with self._db.write() as c:
            self._refuse_running(c, self._row(c, tenant, experiment_id))
            c.execute(delete(self.table).where(self.table.c.id == experiment_id))

    def _insert(
        self,
        tenant: str,
        row: Mapping[str, Any],
        new_jobs: Sequence[NewJob],
        key: IdempotencyKey | None,
        on_insert: Callable[[Connection, str, Sequence[str]], None] = lambda connection, experiment_id, job_ids: None,
    ) -> tuple[str, tuple[str, ...]]:
        """Insert an experiment and all of its jobs, or nothing; the caller sends the hints after this returns.

        Returns the id of the experiment and those of its new jobs; the first of them carries the key. A second request
        with the same key gets the experiment of the first, which has no new jobs. `on_insert` gets the ids of both
        within the transaction. Raises KeyReused, QuotaExceeded, and Conflict if the data set is gone.
        """
        experiment_id, job_ids = f"{self.prefix}_{secrets.token_hex(10)}", list[str]()
        member: dict[str, Any] = {self.column: experiment_id}
        with self._db.write() as c:
            if key and (job := job_of_key(c, tenant, key)) and (known := getattr(job, self.column)):
                return known, ()
            refuse_another_job(c, tenant, self._quotas, len(new_jobs))
            if row.get("webhook") or any(new.spec.webhook for new in new_jobs):
                refuse_more_messages(c, tenant, self._quotas)
            c.execute(insert(self.table).values(id=experiment_id, tenant=tenant, created_at=now(), **row))
            for new in new_jobs:
                job_id = f"job_{secrets.token_hex(10)}"
                owned = replace(new, origin=replace(new.origin, **member))
                insert_job(c, tenant, job_id, owned, None if job_ids else key)
                job_ids.append(job_id)
            on_insert(c, experiment_id, job_ids)
        for job_id in job_ids:
            self._on_change(job_id)
        return experiment_id, tuple(job_ids)

    def _row(self, c: Connection, tenant: str, experiment_id: str) -> RowMapping:
        query = select(self.table).where(self.table.c.tenant == tenant, self.table.c.id == experiment_id)
        row = c.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no {self.noun} {experiment_id!r}")
        return row


class DesignedExperiments(Experiments[T]):
    """Experiments whose jobs are all designed before the first of them runs: they run until the last job has ended."""

    @abstractmethod
    def _record(self, row: RowMapping, counts: Mapping[Status, int]) -> T:
        """The experiment of a row, with the number of its jobs by status."""

    def _get(self, tenant: str, experiment_id: str, columns: Sequence[Column[Any]]) -> tuple[T, Sequence[RowMapping]]:
        """An experiment, and these columns of its jobs and their best epochs, in the order in which they were queued.

        `columns` are some of the tables jobs and epochs, the status of the job among them. Raises NotFound.
        """
        query = select(*columns).select_from(WITH_BEST).where(self._of_jobs == experiment_id).order_by(jobs.c.seq)
        with self._db.read() as c:
            row = self._row(c, tenant, experiment_id)
            found = c.execute(query).mappings().all()
        counts = dict.fromkeys(Status, 0)
        for job in found:
            counts[Status(job["status"])] += 1
        return self._record(row, counts), found

    @property
    def _of_jobs(self) -> Column[Any]:
        return jobs.c[self.column]

    def _read_all(self, c: Connection, rows: Sequence[RowMapping]) -> tuple[T, ...]:
        counts = {row["id"]: dict.fromkeys(Status, 0) for row in rows}
        counted = select(self._of_jobs, jobs.c.status, func.count()).where(self._of_jobs.in_(list(counts)))
        for experiment_id, status, count in c.execute(counted.group_by(self._of_jobs, jobs.c.status)):
            counts[experiment_id][Status(status)] = count
        return tuple(self._record(row, counts[row["id"]]) for row in rows)

    def _refuse_running(self, c: Connection, row: RowMapping) -> None:
        living = select(jobs.c.id).where(self._of_jobs == row["id"], jobs.c.status.not_in(TERMINAL))
        if job_id := c.execute(living.limit(1)).scalar():
            detail = f"job {job_id} of the {self.noun} has not ended; cancel the {self.noun} first, or wait"
            raise Conflict(detail)
