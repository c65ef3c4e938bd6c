"""Every SQL statement about data sets.

A set that was sent is read by whichever worker claims it, under a lease as jobs have it: what a reader writes carries
its attempt, and an old one changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, RowMapping, and_, delete, insert, or_, select, update

from service.core.errors import Conflict, LeaseLost, NotFound
from service.core.records.builtin_datasets import BUILT_IN
from service.core.records.dataset import Contents, Dataset, DatasetError, DatasetStatus
from service.core.records.job import TERMINAL
from service.core.records.quotas import UNLIMITED, Quotas
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.tables import datasets, jobs
from service.core.sql.usage import refuse_more_data, room
from service.core.storage import Artifact

READERS = "datasets"  # the wake-up channel of those who read data sets
DELETION_SECONDS = 60.0  # for a deletion to be done by who began it; then workers finish it
READ_ATTEMPTS = 3  # readers that may be lost before the set has failed


@dataclass(frozen=True)
class Reading:
    """A worker's right to read a data set, proven by the attempt it was given."""

    dataset_id: str
    attempt: int
    format: str
    upload: Artifact
    most_bytes: int | None = None  # that its owner may still have stored


@dataclass(frozen=True)
class DatasetPage:
    """Data sets, newest first, and where the next page begins (None at the end)."""

    datasets: tuple[Dataset, ...]
    next_seq: int | None


class DatasetStore:
    """The data sets. `on_change` is called with READERS after each commit that gives readers something to do."""

    def __init__(
        self,
        database: Database,
        on_change: Callable[[str], None] = lambda channel: None,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self._db = database
        self._on_change = on_change
        self._quotas = quotas

    # What clients do

    def add(self, tenant: str, dataset_id: str, name: str, format: str, upload: Artifact) -> Dataset:  # noqa: A002
        """Record a set that the storage holds as it was sent; a worker will read it. Raises QuotaExceeded."""
        with self._db.write() as c:
            refuse_more_data(c, tenant, self._quotas, upload.bytes)
            c.execute(
                insert(datasets).values(
                    id=dataset_id, tenant=tenant, name=name, format=format, upload=asdict(upload), attempt=0,
                    status=DatasetStatus.PROCESSING, packed=[], created_at=now(),
                )
            )  # fmt: skip
            added = _dataset(_visible(c, tenant, dataset_id))
        self._on_change(READERS)
        return added

    def room(self, tenant: str) -> int | None:
        """How many bytes more the tenant may send; None: no limit."""
        with self._db.read() as c:
            return room(c, tenant, self._quotas)

    def get(self, tenant: str, dataset_id: str) -> Dataset:
        """A built-in set or one of the tenant's own. Raises NotFound."""
        if dataset_id in BUILT_IN:
            return BUILT_IN[dataset_id]
        with self._db.read() as c:
            return _dataset(_visible(c, tenant, dataset_id))

    def list(self, tenant: str, limit: int, before_seq: int | None = None) -> DatasetPage:
        """A page of at most `limit` of the tenant's own sets, newest first."""
        where = [datasets.c.tenant == tenant, datasets.c.status != DatasetStatus.DELETING]
        if before_seq is not None:
            where.append(datasets.c.seq < before_seq)
        wanted = select(datasets).where(*where).order_by(datasets.c.seq.desc()).limit(limit + 1)
        with self._db.read() as c:
            rows = c.execute(wanted).mappings().all()
        found = tuple(_dataset(row) for row in rows[:limit])
        return DatasetPage(found, rows[limit - 1]["seq"] if len(rows) > limit else None)

    def names(self, tenant: str, dataset_ids: Iterable[str]) -> dict[str, str]:
        """The names, by their ids, of those that are the tenant's own."""
        own = and_(datasets.c.tenant == tenant, datasets.c.status != DatasetStatus.DELETING)
        wanted = select(datasets.c.id, datasets.c.name).where(own, datasets.c.id.in_(set(dataset_ids)))
        with self._db.read() as c:
            return {row.id: row.name for row in c.execute(wanted)}

    def hide(self, tenant: str, dataset_id: str) -> None:
        """No job can name the set any more: what was stored of it can be deleted. Raises NotFound, and Conflict while
        a job lives that uses it. Hiding what is hidden changes nothing.
        """
        if dataset_id in BUILT_IN:
            raise Conflict(f"{dataset_id!r} is built in and cannot be deleted")
        with self._db.write() as c:
            wanted = select(datasets).where(_own(tenant, dataset_id)).with_for_update()
            if c.execute(wanted).first() is None:
                raise NotFound(f"there is no data set {dataset_id!r}")
            live = select(jobs.c.id).where(jobs.c.dataset == dataset_id, jobs.c.status.not_in(TERMINAL))
            if job_id := c.execute(live.limit(1)).scalar():
                raise Conflict(f"job {job_id} uses the data set; cancel it first, or wait until it ends")
            c.execute(update(datasets).where(_own(tenant, dataset_id)).values(hidden()))

    def forget(self, tenant: str, dataset_id: str) -> None:
        """Drop a hidden set's record."""
        with self._db.write() as c:
            c.execute(delete(datasets).where(_own(tenant, dataset_id), datasets.c.status == DatasetStatus.DELETING))

    # What workers do

    def half_deleted(self) -> tuple[tuple[str, str], ...]:
        """(tenant, id) of sets whose deletion was begun and not finished."""
        lapsed = (datasets.c.status == DatasetStatus.DELETING, datasets.c.lease_until < now())
        with self._db.read() as c:
            found = c.execute(select(datasets.c.tenant, datasets.c.id).where(*lapsed))
            return tuple((tenant, dataset_id) for tenant, dataset_id in found)

    def packed(self, dataset_id: str) -> tuple[Artifact, ...]:
        """The files of a set that was read, for a worker that trains on it. Raises NotFound."""
        with self._db.read() as c:
            wanted = select(datasets).where(datasets.c.id == dataset_id, datasets.c.status == DatasetStatus.READY)
            row = c.execute(wanted).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no data set {dataset_id!r} that could be trained on")
        return _dataset(row).packed

    def claim(self, worker: str, lease_seconds: float) -> Reading | None:
        """Take the set that has waited longest to be read; None where none does.

        One that has cost too many readers has failed.
        """
        waits = and_(
            datasets.c.status == DatasetStatus.PROCESSING,
            or_(datasets.c.lease_until.is_(None), datasets.c.lease_until <= now()),
        )
        with self._db.read() as c:  # so that nobody waits for a writer's lock only to find nothing
            if c.execute(select(datasets.c.id).where(waits).limit(1)).first() is None:
                return None
        first = select(datasets.c.id).where(waits).order_by(datasets.c.seq).limit(1)
        first_id = first.with_for_update(skip_locked=True).scalar_subquery()
        values = {"attempt": datasets.c.attempt + 1, "worker": worker, "lease_until": now() + lease_seconds}
        taken = update(datasets).where(datasets.c.id == first_id, waits).values(values).returning(datasets)
        with self._db.write() as c:
            row = c.execute(taken).mappings().one_or_none()
            if row is None:
                return None
            if row["attempt"] > READ_ATTEMPTS:
                error = DatasetError("worker_lost", f"{READ_ATTEMPTS} workers were lost while they read it")
                _end(c, datasets.c.id == row["id"], {"status": DatasetStatus.FAILED, "error": asdict(error)})
                return None
            left = room(c, row["tenant"], self._quotas)
        upload = Artifact(**row["upload"])
        most = None if left is None else left + upload.bytes  # which goes once it is read
        return Reading(row["id"], row["attempt"], row["format"], upload, most)

    def renew(self, reading: Reading, lease_seconds: float) -> None:
        """Hold the set for another `lease_seconds`. Raises LeaseLost."""
        with self._db.write() as c:
            renewed = update(datasets).where(_held(reading)).values(lease_until=now() + lease_seconds)
            _fenced(reading, c.execute(renewed))

    def put_off(self, reading: Reading, cause: str, seconds: float) -> None:
        """It could not be read through no fault of its own: it is tried again after so many seconds, and has failed
        after the last attempt. Raises LeaseLost.
        """
        if reading.attempt >= READ_ATTEMPTS:
            return self.fail(reading, DatasetError("not_read", f"{READ_ATTEMPTS} attempts to read it failed: {cause}"))
        with self._db.write() as c:
            later = update(datasets).where(_held(reading)).values(lease_until=now() + seconds, worker=None)
            return _fenced(reading, c.execute(later))

    def release(self, reading: Reading) -> None:
        """Let another worker read it, as if we had not begun. Raises LeaseLost."""
        values = {"lease_until": None, "worker": None, "attempt": datasets.c.attempt - 1}
        with self._db.write() as c:
            _fenced(reading, c.execute(update(datasets).where(_held(reading)).values(values)))
        self._on_change(READERS)

    def finish(self, reading: Reading, contents: Contents, packed: Sequence[Artifact]) -> None:
        """The set can be trained on. Raises LeaseLost."""
        values = {
            "status": DatasetStatus.READY, "contents": asdict(contents), "packed": [asdict(file) for file in packed],
            "used_at": now(),
        }  # fmt: skip
        with self._db.write() as c:
            _end(c, _held(reading), values, reading)

    def fail(self, reading: Reading, error: DatasetError) -> None:
        """The set cannot be used. Raises LeaseLost."""
        with self._db.write() as c:
            _end(c, _held(reading), {"status": DatasetStatus.FAILED, "error": asdict(error)}, reading)


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
    """What is written into the row of a set whose deletion begins."""
    return {"status": DatasetStatus.DELETING, "lease_until": now() + DELETION_SECONDS}


def _own(tenant: str, dataset_id: str) -> ColumnElement[bool]:
    return and_(datasets.c.tenant == tenant, datasets.c.id == dataset_id)


def _visible(c: Connection, tenant: str, dataset_id: str) -> RowMapping:
    wanted = select(datasets).where(_own(tenant, dataset_id), datasets.c.status != DatasetStatus.DELETING)
    row = c.execute(wanted).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no data set {dataset_id!r}")
    return row


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
    )
