"""The statements about data sets.

A worker claims an uploaded set and reads it under a lease. Its writes are fenced: they carry the attempt, and an old
attempt changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    RowMapping,
    and_,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)

from service.core.errors import Conflict, LeaseLost, NotFound
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import Contents, Dataset, DatasetError, DatasetStatus, ReadingOptions
from service.core.records.job import TERMINAL
from service.core.records.lease import Reading
from service.core.records.page import Page
from service.core.records.quotas import UNLIMITED, Quotas
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.paging import read_page
from service.core.sql.reading_turns import ReadingTurns
from service.core.sql.repository import Repository
from service.core.sql.running_fits import refuse_of_running_fit
from service.core.sql.tables import datasets, jobs
from service.core.sql.usage import refuse_another_dataset, refuse_more_data, room
from service.core.storage import Artifact

READERS = "datasets"  # the wake-up channel of the workers that read data sets
DELETION_SECONDS = 60.0  # for a deletion by the process that began it; then a worker finishes it
OPTIONS_OF_0_1_0 = ReadingOptions(background="black")  # what release 0.1.0 did; it stored no options
READ_ATTEMPTS = 3  # lost readers after which the set has failed
# Seconds. Workers of release 0.1 know no options of reading and no label files. Leases of sets with options are dated
# ahead by this time, so that such a worker always finds them held by another one.
AHEAD = 1e10


class DatasetStore(Repository):
    """The data sets of all tenants. `on_change` is called with READERS when there is a data set to read."""

    def __init__(
        self, database: Database, on_change: Callable[[str], None] = lambda channel: None, quotas: Quotas = UNLIMITED
    ) -> None:
        super().__init__(database, on_change, quotas)
        self._turns = ReadingTurns()

    # For the owners of data sets

    def add(
        self,
        tenant: str,
        dataset_id: str,
        name: str,
        format: str,  # noqa: A002
        upload: Artifact,
        options: ReadingOptions | None = None,
        labels: Artifact | None = None,
    ) -> Dataset:
        """Record an uploaded set that is in the storage, with the label file sent beside it; a worker will read it.

        Raises QuotaExceeded.
        """
        values: dict[str, Any] = {
            "name": name,
            "format": format,
            "upload": asdict(upload),
            "packed": [],
            "options": asdict(options) if options else None,
            "labels": asdict(labels) if labels else None,
        }
        is_free = now() + AHEAD if options else None
        unread = {"status": DatasetStatus.PROCESSING, "attempt": 0, "lease_until": is_free}
        with self._db.write() as c:
            refuse_more_data(c, tenant, self._quotas, upload.bytes)
            c.execute(insert(datasets).values(id=dataset_id, tenant=tenant, created_at=now(), **values, **unread))
            added = _dataset(_visible(c, tenant, dataset_id))
        self._on_change(READERS)
        return added

    def room(self, tenant: str) -> int | None:
        """The bytes that the tenant may still upload; None: no limit. Raises QuotaExceeded if it has too many sets."""
        with self._db.read() as c:
            refuse_another_dataset(c, tenant, self._quotas)
            return room(c, tenant, self._quotas)

    def get(self, tenant: str, dataset_id: str) -> Dataset:
        """A built-in set or one of the tenant's own. Raises NotFound."""
        if dataset_id in BUILT_IN:
            return BUILT_IN[dataset_id]
        with self._db.read() as c:
            return _dataset(_visible(c, tenant, dataset_id))

    def list(self, tenant: str, limit: int, before_seq: int | None = None) -> Page[Dataset]:
        """A page of at most `limit` of the tenant's own sets, newest first."""
        query = select(datasets).where(datasets.c.tenant == tenant, datasets.c.status != DatasetStatus.DELETING)
        with self._db.read() as c:
            return read_page(c, query, datasets.c.seq, limit, before_seq, _read_datasets)

    def names(self, tenant: str, dataset_ids: Iterable[str]) -> dict[str, str]:
        """The names of the tenant's own sets among these, by id."""
        own = and_(datasets.c.tenant == tenant, datasets.c.status != DatasetStatus.DELETING)
        query = select(datasets.c.id, datasets.c.name).where(own, datasets.c.id.in_(set(dataset_ids)))
        with self._db.read() as c:
            return {row.id: row.name for row in c.execute(query)}

    def hide(self, tenant: str, dataset_id: str) -> None:
        """Begin to delete the set: no job can name it any more, so its files can be deleted. Raises NotFound, and
        Conflict while a job or a fit that uses it has not ended. Hiding a hidden set changes nothing.
        """
        if dataset_id in BUILT_IN:
            raise Conflict(f"{dataset_id!r} is built in and cannot be deleted")
        with self._db.write() as c:
            query = select(datasets).where(_own(tenant, dataset_id)).with_for_update()
            if c.execute(query).first() is None:
                raise NotFound(f"there is no data set {dataset_id!r}")
            refuse_of_running_fit(c, jobs.c.dataset == dataset_id, "the data set")
            live = select(jobs.c.id).where(jobs.c.dataset == dataset_id, jobs.c.status.not_in(TERMINAL))
            if job_id := c.execute(live.limit(1)).scalar():
                raise Conflict(f"job {job_id} uses the data set; cancel it first, or wait until it ends")
            c.execute(update(datasets).where(_own(tenant, dataset_id)).values(hidden()))

    def forget(self, tenant: str, dataset_id: str) -> None:
        """Delete the record of a hidden set."""
        with self._db.write() as c:
            c.execute(delete(datasets).where(_own(tenant, dataset_id), datasets.c.status == DatasetStatus.DELETING))

    # For workers

    def half_deleted(self) -> tuple[tuple[str, str], ...]:
        """(tenant, id) of the sets whose deletion has not finished within DELETION_SECONDS."""
        lapsed = (datasets.c.status == DatasetStatus.DELETING, datasets.c.lease_until < now())
        with self._db.read() as c:
            rows = c.execute(select(datasets.c.tenant, datasets.c.id).where(*lapsed))
            return tuple((tenant, dataset_id) for tenant, dataset_id in rows)

    def packed(self, dataset_id: str) -> tuple[Artifact, ...]:
        """The files that training reads of a set that is ready. Raises NotFound."""
        with self._db.read() as c:
            query = select(datasets).where(datasets.c.id == dataset_id, datasets.c.status == DatasetStatus.READY)
            row = c.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no data set {dataset_id!r} that could be trained on")
        return _dataset(row).packed

    def claim(self, worker: str, lease_seconds: float) -> Reading | None:
        """Take a set that waits to be read; None if none waits. Tenants take turns, and each one's sets go by age.

        A set that READ_ATTEMPTS readers were lost on has failed.
        """
        waits = and_(
            datasets.c.status == DatasetStatus.PROCESSING,
            or_(datasets.c.lease_until.is_(None), datasets.c.lease_until <= _lease_clock()),
        )
        with self._db.read() as c:  # a read needs no writer's lock, and mostly finds nothing
            if c.execute(select(datasets.c.id).where(waits).limit(1)).first() is None:
                return None
            turns = self._turns.order(c)
        first = select(datasets.c.id).where(waits).order_by(*turns, datasets.c.seq).limit(1)
        first_id = first.with_for_update(skip_locked=True).scalar_subquery()
        values = {"attempt": datasets.c.attempt + 1, "worker": worker, "lease_until": _lease_clock() + lease_seconds}
        taken = update(datasets).where(datasets.c.id == first_id, waits).values(values).returning(datasets)
        with self._db.write() as c:
            row = c.execute(taken).mappings().one_or_none()
            if row is None:
                return None
            self._turns.taken(row["tenant"])
            if row["attempt"] > READ_ATTEMPTS:
                error = DatasetError("worker_lost", f"{READ_ATTEMPTS} workers were lost while they read it")
                _end(c, datasets.c.id == row["id"], {"status": DatasetStatus.FAILED, "error": asdict(error)})
                return None
            left = room(c, row["tenant"], self._quotas)
        upload = Artifact(**row["upload"])
        most = None if left is None else left + upload.bytes  # the upload is deleted once it is read
        labels = Artifact(**row["labels"]) if row["labels"] else None
        return Reading(row["id"], row["attempt"], row["format"], upload, most, _options(row), labels)

    def renew(self, reading: Reading, lease_seconds: float) -> None:
        """Hold the set for another `lease_seconds`. Raises LeaseLost."""
        with self._db.write() as c:
            renewed = update(datasets).where(_held(reading)).values(lease_until=_lease_clock() + lease_seconds)
            _fenced(reading, c.execute(renewed))

    def put_off(self, reading: Reading, cause: str, seconds: float) -> None:
        """Reading failed by no fault of the set: try again after `seconds`; after the last attempt the set has failed.
        Raises LeaseLost.
        """
        if reading.attempt >= READ_ATTEMPTS:
            return self.fail(reading, DatasetError("not_read", f"{READ_ATTEMPTS} attempts to read it failed: {cause}"))
        with self._db.write() as c:
            later = update(datasets).where(_held(reading)).values(lease_until=_lease_clock() + seconds, worker=None)
            return _fenced(reading, c.execute(later))

    def release(self, reading: Reading) -> None:
        """Give the set back unread: another worker will read it. Raises LeaseLost."""
        values = {"lease_until": _lease_clock(), "worker": None, "attempt": datasets.c.attempt - 1}
        with self._db.write() as c:
            _fenced(reading, c.execute(update(datasets).where(_held(reading)).values(values)))
        self._on_change(READERS)

    def finish(self, reading: Reading, contents: Contents, packed: Sequence[Artifact]) -> None:
        """The set can be trained on. Raises LeaseLost."""
        read = {"contents": asdict(contents), "options": asdict(reading.options)}
        values = {**read, "packed": [asdict(file) for file in packed], "used_at": now()}
        with self._db.write() as c:
            _end(c, _held(reading), {"status": DatasetStatus.READY, **values}, reading)

    def fail(self, reading: Reading, error: DatasetError) -> None:
        """The set cannot be used. Raises LeaseLost."""
        with self._db.write() as c:
            _end(c, _held(reading), {"status": DatasetStatus.FAILED, "error": asdict(error)}, reading)


def _lease_clock() -> ColumnElement[float]:
    """The clock for the lease of a set that is read, unix seconds."""
    return now() + case((datasets.c.options.is_(None), 0.0), else_=AHEAD)


def _end(c: Connection, where: ColumnElement[bool], values: Mapping[str, Any], reading: Reading | None = None) -> None:
    ended = c.execute(update(datasets).where(where).values({**values, "lease_until": None, "worker": None}))
    if reading:
        _fenced(reading, ended)


def _fenced(reading: Reading, result: CursorResult[Any]) -> None:
    if result.rowcount == 0:
        raise LeaseLost(f"{reading.dataset_id} is no longer read by attempt {reading.attempt}")


def _held(reading: Reading) -> ColumnElement[bool]:
    return and_(
        datasets.c.id == reading.dataset_id,
        datasets.c.attempt == reading.attempt,
        datasets.c.status == DatasetStatus.PROCESSING,
    )


def hidden() -> dict[str, Any]:
    """The values of the row of a set whose deletion begins."""
    return {"status": DatasetStatus.DELETING, "lease_until": now() + DELETION_SECONDS}


def _own(tenant: str, dataset_id: str) -> ColumnElement[bool]:
    return and_(datasets.c.tenant == tenant, datasets.c.id == dataset_id)


def _visible(c: Connection, tenant: str, dataset_id: str) -> RowMapping:
    query = select(datasets).where(_own(tenant, dataset_id), datasets.c.status != DatasetStatus.DELETING)
    row = c.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no data set {dataset_id!r}")
    return row


def _read_datasets(c: Connection, rows: Sequence[RowMapping]) -> tuple[Dataset, ...]:
    return tuple(_dataset(row) for row in rows)


def _dataset(row: RowMapping) -> Dataset:
    return Dataset(
        id=row["id"],
        name=row["name"],
        status=DatasetStatus(row["status"]),
        contents=Contents.from_dict(row["contents"]) if row["contents"] else None,
        bytes=row["upload"]["bytes"],
        sha256=row["upload"]["sha256"],
        error=DatasetError(**row["error"]) if row["error"] else None,
        created_at=row["created_at"],
        packed=tuple(Artifact(**file) for file in row["packed"]),
        options=_options(row),
    )


def _options(row: RowMapping) -> ReadingOptions:
    """The options of a set. A set without any was read by release 0.1.0, or is read as one that was just uploaded."""
    if row["options"]:
        return ReadingOptions(**row["options"])
    return OPTIONS_OF_0_1_0 if row["contents"] else ReadingOptions()
