"""What can be read of jobs: their records, lists, epochs, events, logs, families and manifests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, or_, select, tuple_

from service.core.errors import NotFound
from service.core.records.epoch import COLUMNS, Epoch
from service.core.records.facts import Average
from service.core.records.job import TERMINAL, Job, Mark, Status
from service.core.records.job_event import Event
from service.core.records.job_log import Entry
from service.core.records.lineage import Family, Relative
from service.core.records.page import Page
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.job_logs import newest_lines
from service.core.sql.jobs.lineage import family, tried
from service.core.sql.jobs.rows import WHOLE_JOB, average_of, read_job, read_jobs, read_mark
from service.core.sql.paging import read_page
from service.core.sql.tables import artifacts, datasets, epochs, events, jobs, labels
from service.core.storage import Artifact

_EPOCHS = select(*(epochs.c[name] for name in COLUMNS)).order_by(epochs.c.epoch)
SIBLINGS = 200  # newest jobs of one split that are read


@dataclass(frozen=True)
class Curve:
    """Epochs of a job in order, its best and its last epoch, and what came of averaging the best ones; None where there
    is none. `version` is the job's.
    """

    version: int
    epochs: tuple[Epoch, ...]
    best: Epoch | None
    last: Epoch | None
    average: Average | None


class JobQueries:
    """Every read takes the tenant: a job of another tenant does not exist."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, tenant: str, job_id: str) -> Job:
        """Raises NotFound."""
        with self._db.read() as c:
            return read_job(c, tenant, job_id)

    def mark(self, tenant: str, job_id: str) -> Mark:
        """What tells the present state of a job from its other states, without reading the job. Raises NotFound."""
        return read_mark(self._db.engine, tenant, job_id)

    def list(
        self,
        tenant: str,
        limit: int,
        before_seq: int | None = None,
        statuses: Sequence[Status] = (),
        label_pairs: Sequence[tuple[str, str]] = (),
        text: str = "",
    ) -> Page[Job]:
        """A page of at most `limit` jobs that match all of the filters, newest first.

        `text` matches part of an id or name, of the job or of its data set; the case does not matter.
        """
        conditions = [jobs.c.tenant == tenant]
        if statuses:
            conditions.append(jobs.c.status.in_(statuses))
        for key, value in label_pairs:
            labelled = select(labels.c.job_id).where(labels.c.key == key, labels.c.value == value)
            conditions.append(jobs.c.id.in_(labelled))
        if text:
            conditions.append(_contains(tenant, text))
        with self._db.read() as c:
            return read_page(c, WHOLE_JOB.where(*conditions), jobs.c.seq, limit, before_seq, read_jobs)

    def get_many(self, tenant: str, job_ids: Sequence[str]) -> tuple[tuple[Job, ...], dict[str, float]]:
        """These jobs, in this order, and the seconds of each one's completed epochs by its id. Raises NotFound."""
        spent = select(epochs.c.job_id, func.sum(epochs.c.seconds).label("seconds")).where(epochs.c.job_id.in_(job_ids))
        with self._db.read() as c:
            records = tuple(read_job(c, tenant, job_id) for job_id in job_ids)
            rows = c.execute(spent.group_by(epochs.c.job_id)).all()
        return records, {row.job_id: row.seconds for row in rows}

    def history(self, tenant: str, job_id: str, after_epoch: int = 0) -> tuple[Job, tuple[Epoch, ...]]:
        """The job and its epochs after the given one, in order. Raises NotFound."""
        query = _EPOCHS.where(epochs.c.job_id == job_id, epochs.c.epoch > after_epoch)
        with self._db.read() as c:
            job = read_job(c, tenant, job_id)
            return job, tuple(Epoch(**row) for row in c.execute(query).mappings())

    def curve(self, tenant: str, job_id: str, after_epoch: int = 0) -> Curve:
        """The epochs after the given one, in order, without reading the job's record. Raises NotFound."""
        marks = select(jobs.c.version, jobs.c.best_epoch, jobs.c.last_epoch, jobs.c.more_facts)
        with self._db.read() as c:
            row = c.execute(marks.where(jobs.c.tenant == tenant, jobs.c.id == job_id)).mappings().one_or_none()
            if row is None:
                raise NotFound(f"there is no job {job_id!r}")
            best, last = row["best_epoch"], row["last_epoch"]
            where = or_(epochs.c.epoch > after_epoch, epochs.c.epoch.in_([n for n in (best, last) if n is not None]))
            rows = c.execute(_EPOCHS.where(epochs.c.job_id == job_id, where)).mappings()
            by_number = {row["epoch"]: Epoch(**row) for row in rows}
        later = tuple(epoch for number, epoch in by_number.items() if number > after_epoch)
        return Curve(row["version"], later, by_number.get(best), by_number.get(last), average_of(row))

    def counts(self, tenant: str) -> dict[Status, int]:
        """The number of the tenant's jobs by status, without those that no job has."""
        query = select(jobs.c.status, func.count()).where(jobs.c.tenant == tenant).group_by(jobs.c.status)
        with self._db.read() as c:
            return {Status(status): count for status, count in c.execute(query)}

    def counts_on(self, tenant: str, dataset_ids: Sequence[str]) -> dict[str, int]:
        """The number of the tenant's jobs by the data set that they use, without those that no job uses."""
        query = select(jobs.c.dataset, func.count().label("jobs")).group_by(jobs.c.dataset)
        with self._db.read() as c:
            found = c.execute(query.where(jobs.c.tenant == tenant, jobs.c.dataset.in_(dataset_ids)))
            return {row.dataset: row.jobs for row in found}

    def count_on(self, tenant: str, dataset_id: str) -> int:
        """The number of the tenant's jobs that use this data set."""
        with self._db.read() as c:
            return _count(c, and_(jobs.c.tenant == tenant, jobs.c.dataset == dataset_id))

    def epoch_seconds(self, tenant: str, dataset_id: str | None, limit: int) -> tuple[tuple[JobSpec, float], ...]:
        """The specs of the newest `limit` jobs that have trained, with the mean seconds of an epoch: on a data set, or
        (None) on any.
        """
        mean = select(func.avg(epochs.c.seconds)).where(epochs.c.job_id == jobs.c.id).scalar_subquery()
        trained = and_(jobs.c.tenant == tenant, jobs.c.last_epoch.is_not(None))
        if dataset_id is not None:
            trained = and_(trained, jobs.c.dataset == dataset_id)
        query = select(jobs.c.spec, mean.label("seconds")).where(trained).order_by(jobs.c.seq.desc()).limit(limit)
        with self._db.read() as c:
            rows = c.execute(query).all()
        return tuple((JobSpec.from_dict(row.spec), row.seconds) for row in rows if row.seconds)

    def sparklines(self, records: Sequence[Job], points: int) -> dict[str, tuple[float, ...]]:
        """The finite val_loss of at most `points` (2 or more) epochs, evenly spread, of each of these jobs, by id."""
        sampled = [(job.id, epoch) for job in records if job.last for epoch in _evenly_spread(job.last.epoch, points)]
        lines: dict[str, list[float]] = {job.id: [] for job in records}
        if sampled:
            where = (tuple_(epochs.c.job_id, epochs.c.epoch).in_(sampled), epochs.c.val_loss.is_not(None))
            losses = select(epochs.c.job_id, epochs.c.val_loss).where(*where).order_by(epochs.c.job_id, epochs.c.epoch)
            with self._db.read() as c:
                for job_id, loss in c.execute(losses):
                    lines[job_id].append(loss)
        return {job_id: tuple(line) for job_id, line in lines.items()}

    def verdicts(self, records: Sequence[Job]) -> dict[str, str]:
        """The newest recorded verdict of each of these jobs that has one, by id."""
        ids = [job.id for job in records]
        recorded = select(events.c.job_id, events.c.data).where(events.c.job_id.in_(ids), events.c.type == "diagnosis")
        with self._db.read() as c:
            rows = c.execute(recorded.order_by(events.c.job_id, events.c.seq)).all()
        return {job_id: data["verdict"] for job_id, data in rows}

    def events(self, tenant: str, job_id: str, after: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        """Whether the job has ended, and at most `limit` of its events after the given one. Raises NotFound."""
        query = select(events).where(events.c.job_id == job_id, events.c.seq > after)
        with self._db.read() as c:
            status = _status(c, tenant, job_id)
            return status in TERMINAL, _events(c, query.order_by(events.c.seq).limit(limit))

    def newest_events(self, tenant: str, job_id: str, but: Sequence[str], limit: int) -> tuple[Event, ...]:
        """The newest `limit` events of other types than those, the newest first. Raises NotFound."""
        query = select(events).where(events.c.job_id == job_id, events.c.type.not_in(but))
        with self._db.read() as c:
            _status(c, tenant, job_id)
            return _events(c, query.order_by(events.c.seq.desc()).limit(limit))

    def log(self, tenant: str, job_id: str, after: int, tail: int) -> tuple[bool, tuple[Entry, ...]]:
        """Whether the job has ended, and the newest `tail` lines of its log after the given one. Raises NotFound."""
        with self._db.read() as c:
            status = _status(c, tenant, job_id)
            return status in TERMINAL, newest_lines(c, job_id, after, tail)

    def lineage(self, tenant: str, job_id: str) -> tuple[Relative, ...]:
        """The job's family, the oldest first. Raises NotFound."""
        with self._db.read() as c:
            return family(c, tenant, job_id)

    def tried(self, tenant: str, job_id: str) -> Family:
        """What was tried on the way to a job, the specs of its ancestors and the effects of advice."""
        with self._db.read() as c:
            return tried(c, tenant, job_id)

    def with_same_split(self, job: Job) -> tuple[Job, ...]:
        """The tenant's newest successful jobs with the same validation images as this one, which may be one of them."""
        if job.split is None:  # written by a release that did not record the split
            return ()
        same = and_(jobs.c.tenant == job.tenant, jobs.c.split == job.split, jobs.c.status == Status.SUCCEEDED)
        newest = WHOLE_JOB.where(same).order_by(jobs.c.seq.desc()).limit(SIBLINGS)
        with self._db.read() as c:
            return read_jobs(c, c.execute(newest).mappings().all())

    def earlier_tests(self, job: Job) -> int:
        """The number of the tenant's earlier jobs that were scored on the same test images."""
        scored = and_(jobs.c.status.in_([Status.SUCCEEDED, Status.CANCELLED]), jobs.c.best_epoch.is_not(None))
        same = and_(jobs.c.tenant == job.tenant, jobs.c.test_split == job.test_split, scored)
        this = select(jobs.c.seq).where(jobs.c.id == job.id).scalar_subquery()
        with self._db.read() as c:
            return _count(c, and_(same, jobs.c.seq < this))

    def artifacts(self, tenant: str, job_id: str) -> tuple[Artifact, ...]:
        """The manifest: the job's published artifacts, by name. Raises NotFound."""
        query = select(artifacts).where(artifacts.c.job_id == job_id).order_by(artifacts.c.name)
        with self._db.read() as c:
            _status(c, tenant, job_id)
            return tuple(_artifact(row) for row in c.execute(query).mappings())

    def published(self, tenant: str, job_ids: Sequence[str], name: str) -> dict[str, Artifact]:
        """The artifact of this name of each of the jobs that has published it, by the id of the job."""
        own = and_(jobs.c.tenant == tenant, jobs.c.id.in_(job_ids), artifacts.c.name == name)
        query = select(artifacts).join(jobs, jobs.c.id == artifacts.c.job_id).where(own)
        with self._db.read() as c:
            return {row["job_id"]: _artifact(row) for row in c.execute(query).mappings()}


def _artifact(row: RowMapping) -> Artifact:
    return Artifact(row["name"], row["key"], row["bytes"], row["sha256"], row["media_type"])


def _contains(tenant: str, text: str) -> ColumnElement[bool]:
    """The job's id, name or data set (by id or by name) contains the text."""
    named = and_(datasets.c.tenant == tenant, datasets.c.name.icontains(text, autoescape=True))
    on_named = jobs.c.dataset.in_(select(datasets.c.id).where(named))
    columns = (jobs.c.id, jobs.c.dataset, jobs.c.spec["name"].as_string())
    return or_(on_named, *(column.icontains(text, autoescape=True) for column in columns))


def _evenly_spread(last: int, points: int) -> Iterable[int]:
    """At most `points` whole numbers from 1 to `last`, both among them."""
    return sorted({round(1 + (last - 1) * at / (points - 1)) for at in range(points)})


def _count(c: Connection, where: ColumnElement[bool]) -> int:
    return c.execute(select(func.count()).select_from(jobs).where(where)).scalar_one()


def _events(c: Connection, query: Select[tuple[object, ...]]) -> tuple[Event, ...]:
    return tuple(_event(row) for row in c.execute(query).mappings())


def _event(row: RowMapping) -> Event:
    return Event(row["seq"], row["type"], row["at"], row["data"])


def _status(c: Connection, tenant: str, job_id: str) -> str:
    """Raises NotFound."""
    status: str | None = c.execute(select(jobs.c.status).where(jobs.c.tenant == tenant, jobs.c.id == job_id)).scalar()
    if status is None:
        raise NotFound(f"there is no job {job_id!r}")
    return status
