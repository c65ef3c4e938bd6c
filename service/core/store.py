"""Every SQL statement about jobs.

Each change of a job is one transaction that writes the job's row, raises its `version` by one and appends the event
of that number. What a worker writes goes through `_fenced`: it carries the attempt, and an old one changes nothing.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, or_, select, update

from service.core.database import Database, artifacts, epochs, events, jobs, labels, now
from service.core.errors import Conflict, LeaseLost, NotFound
from service.core.history import COLUMNS, Epoch
from service.core.jobs import TERMINAL, Job, Outcome, Phase, Status, StopReason, sources
from service.core.records import read_job, read_jobs, whole_job
from service.core.spec import JobSpec
from service.core.storage import Artifact

TAKEN_FIRST = (jobs.c.priority.desc(), jobs.c.seq)  # the order in which queued jobs are claimed


@dataclass(frozen=True)
class Lease:
    """A worker's right to run a job, proven by the attempt it was given. The spec is as stored: plain data."""

    job_id: str
    attempt: int
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Jobs, newest first, and where the next page begins (None at the end)."""

    jobs: tuple[Job, ...]
    next_seq: int | None


class Store:
    """The job record. `on_change` is called with the job's id after each commit that changed it."""

    def __init__(self, database: Database, on_change: Callable[[str], None] = lambda job_id: None) -> None:
        self._db = database
        self._on_change = on_change

    # What clients do

    def submit(self, tenant: str, spec: JobSpec) -> Job:
        """Insert a queued job with its first event; the caller sends the hint after this returns."""
        job_id = f"job_{secrets.token_hex(10)}"
        with self._db.write() as c:
            c.execute(
                insert(jobs).values(
                    id=job_id, tenant=tenant, spec=spec.to_dict(), priority=spec.priority, status=Status.QUEUED,
                    attempt=0, version=0, cancel_requested=False, created_at=now(), hinted_at=now(),
                )
            )  # fmt: skip
            if spec.labels:
                c.execute(insert(labels), [{"job_id": job_id, "key": k, "value": v} for k, v in spec.labels.items()])
            _record(c, job_id, "status", {"status": Status.QUEUED})
            job = read_job(c, tenant, job_id)
        self._on_change(job_id)
        return job

    def get(self, tenant: str, job_id: str) -> Job:
        """Raises NotFound."""
        with self._db.read() as c:
            return read_job(c, tenant, job_id)

    def list(
        self, tenant: str, limit: int, before_seq: int | None = None,
        statuses: Sequence[Status] = (), wanted_labels: Sequence[tuple[str, str]] = (),
    ) -> Page:  # fmt: skip
        """A page of at most `limit` jobs that match all of the filters, newest first."""
        where = [jobs.c.tenant == tenant]
        if before_seq is not None:
            where.append(jobs.c.seq < before_seq)
        if statuses:
            where.append(jobs.c.status.in_(statuses))
        for key, value in wanted_labels:
            found = select(labels.c.job_id).where(labels.c.key == key, labels.c.value == value)
            where.append(jobs.c.id.in_(found))
        with self._db.read() as c:
            rows = c.execute(whole_job().where(*where).order_by(jobs.c.seq.desc()).limit(limit + 1)).mappings().all()
            found_jobs = read_jobs(c, rows[:limit])
        return Page(found_jobs, rows[limit - 1]["seq"] if len(rows) > limit else None)

    def cancel(self, tenant: str, job_id: str) -> tuple[Job, bool]:
        """Cancel at once what no worker holds, ask the worker otherwise. Returns the job and whether it changed."""
        with self._db.write() as c:
            row = _locked(c, tenant, job_id)
            status, changed = Status(row["status"]), True
            if status in TERMINAL or row["cancel_requested"]:
                changed = False
            elif status is Status.RUNNING:
                _change(c, jobs.c.id == job_id, {"cancel_requested": True}, "cancel_requested", {})
            else:
                _end(c, jobs.c.id == job_id, Outcome(Status.CANCELLED, StopReason.CANCELLED))
            job = read_job(c, tenant, job_id)
        if changed:
            self._on_change(job_id)
        return job, changed

    def delete(self, tenant: str, job_id: str) -> None:
        """Forget an ended job; raises Conflict while it lives."""
        with self._db.write() as c:
            status = _locked(c, tenant, job_id)["status"]
            if status not in TERMINAL:
                raise Conflict(f"the job is {status}; cancel it first, or wait until it ends")
            c.execute(delete(jobs).where(jobs.c.id == job_id))

    def history(self, tenant: str, job_id: str, after_epoch: int = 0) -> tuple[Job, tuple[Epoch, ...]]:
        """The job and its epochs after the given one, in order."""
        with self._db.read() as c:
            job = read_job(c, tenant, job_id)
            wanted = select(*(epochs.c[name] for name in COLUMNS)).where(
                epochs.c.job_id == job_id, epochs.c.epoch > after_epoch
            )
            rows = c.execute(wanted.order_by(epochs.c.epoch)).mappings()
            return job, tuple(Epoch(**row) for row in rows)

    def artifacts(self, tenant: str, job_id: str) -> tuple[Artifact, ...]:
        """The manifest: what the job published, by name."""
        with self._db.read() as c:
            read_job(c, tenant, job_id)
            rows = c.execute(
                select(artifacts).where(artifacts.c.job_id == job_id).order_by(artifacts.c.name)
            ).mappings()
            return tuple(
                Artifact(row["name"], row["key"], row["bytes"], row["sha256"], row["media_type"]) for row in rows
            )

    # What workers do

    def claim(self, worker: str, lease_seconds: float) -> Lease | None:
        """Take the queued job that is first in order; None where there is none."""
        first = (
            select(jobs.c.id).where(jobs.c.status == Status.QUEUED).order_by(*TAKEN_FIRST).limit(1)
            .with_for_update(skip_locked=True).scalar_subquery()
        )  # fmt: skip
        values = {
            "status": Status.RUNNING, "phase": Phase.PREPARING, "attempt": jobs.c.attempt + 1, "worker": worker,
            "lease_until": now() + lease_seconds, "started_at": func.coalesce(jobs.c.started_at, now()),
        }  # fmt: skip
        with self._db.write() as c:
            where = and_(jobs.c.id == first, jobs.c.status == Status.QUEUED)
            row = _change(c, where, values, "status", {"status": Status.RUNNING})
            if row is None:
                return None
        self._on_change(row["id"])
        return Lease(row["id"], row["attempt"], row["spec"])

    def renew(self, lease: Lease, lease_seconds: float) -> bool:
        """Hold the job for another `lease_seconds`; returns whether it is to be cancelled. Raises LeaseLost."""
        with self._db.write() as c:
            renewal = update(jobs).where(_held(lease)).values(lease_until=now() + lease_seconds)
            row = c.execute(renewal.returning(jobs.c.cancel_requested)).one_or_none()
        if row is None:
            raise LeaseLost(f"{lease.job_id} is no longer held by attempt {lease.attempt}")
        return bool(row.cancel_requested)

    def is_cancel_requested(self, lease: Lease) -> bool:
        """Whether the job is to be cancelled. Raises LeaseLost."""
        with self._db.read() as c:
            row = c.execute(select(jobs.c.cancel_requested).where(_held(lease))).one_or_none()
        if row is None:
            raise LeaseLost(f"{lease.job_id} is no longer held by attempt {lease.attempt}")
        return bool(row.cancel_requested)

    def enter(self, lease: Lease, phase: Phase) -> None:
        """Record what the run is doing now. Raises LeaseLost."""
        with self._db.write() as c:
            _fenced(c, lease, {"phase": phase}, "phase", {"phase": phase})
        self._on_change(lease.job_id)

    def append(self, lease: Lease, measured: Iterable[Epoch]) -> None:
        """Record epochs in order, each with its event, in one transaction; those recorded already are passed over,
        so that a write whose answer was lost can be tried again. Raises LeaseLost.
        """
        with self._db.write() as c:
            recorded = c.execute(select(jobs.c.last_epoch).where(_held(lease)).with_for_update()).scalar() or 0
            for epoch in measured:
                if epoch.epoch <= recorded:
                    continue
                values = {"last_epoch": epoch.epoch} | ({"best_epoch": epoch.epoch} if epoch.improved else {})
                _fenced(c, lease, values, "epoch", asdict(epoch))
                row = {"job_id": lease.job_id, "attempt": lease.attempt, **asdict(epoch)}
                c.execute(insert(epochs).values(row))
        self._on_change(lease.job_id)

    def finish(self, lease: Lease, outcome: Outcome, published: Sequence[Artifact]) -> None:
        """End the job with its outcome, its manifest and its last event, all or nothing. Raises LeaseLost."""
        with self._db.write() as c:
            if not _end(c, _held(lease), outcome):
                raise LeaseLost(f"{lease.job_id} is no longer held by attempt {lease.attempt}")
            rows = [{"job_id": lease.job_id, "attempt": lease.attempt, **asdict(artifact)} for artifact in published]
            if rows:
                c.execute(insert(artifacts), rows)
        self._on_change(lease.job_id)

    def release(self, lease: Lease) -> bool:
        """Put the job back into the queue, to be run again from its beginning. Raises LeaseLost.

        Returns False, and changes nothing, where the job is to be cancelled: then it is the worker's to finish.
        """
        values = {
            "status": Status.QUEUED, "phase": None, "worker": None, "lease_until": None, "hinted_at": None,
            "last_epoch": None, "best_epoch": None,
        }  # fmt: skip
        with self._db.write() as c:
            if c.execute(select(jobs.c.cancel_requested).where(_held(lease)).with_for_update()).scalar():
                return False
            _fenced(c, lease, values, "status", {"status": Status.QUEUED})
            c.execute(delete(epochs).where(epochs.c.job_id == lease.job_id))
        self._on_change(lease.job_id)
        return True

    def recover(self) -> int:
        """Put back every running job, or end it if it is to be cancelled; returns how many.

        Only for where no worker can be alive: a job that one still holds would be taken from it.
        """
        with self._db.read() as c:
            held = select(jobs.c.id, jobs.c.attempt, jobs.c.spec).where(jobs.c.status == Status.RUNNING)
            leases = [Lease(*row) for row in c.execute(held)]
        for lease in leases:
            if not self.release(lease):
                self.finish(lease, Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
        return len(leases)

    # What keeps the queue moving

    def due_hints(self, window: int, older_than: float) -> tuple[str, ...]:
        """Of the first `window` queued jobs, those whose hint is too old (seconds); they count as hinted now."""
        head = select(jobs.c.id, jobs.c.hinted_at).where(jobs.c.status == Status.QUEUED)
        head_rows = head.order_by(*TAKEN_FIRST).limit(window).subquery()
        stale = or_(head_rows.c.hinted_at.is_(None), head_rows.c.hinted_at < now() - older_than)
        with self._db.read() as c:
            due = c.execute(select(head_rows.c.id).where(stale)).scalars().all()
        if not due:
            return ()
        with self._db.write() as c:
            unchanged = or_(jobs.c.hinted_at.is_(None), jobs.c.hinted_at < now() - older_than)
            taken = update(jobs).where(jobs.c.id.in_(due), jobs.c.status == Status.QUEUED, unchanged)
            return tuple(c.execute(taken.values(hinted_at=now()).returning(jobs.c.id)).scalars())

    def forget_hints(self, job_id: str | None = None) -> None:
        """The hint of this job, or of all jobs, never arrived: they are due at once."""
        lost = update(jobs).where(jobs.c.status == Status.QUEUED).values(hinted_at=None)
        with self._db.write() as c:
            c.execute(lost.where(jobs.c.id == job_id) if job_id else lost)


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(jobs.c.id == lease.job_id, jobs.c.attempt == lease.attempt, jobs.c.status == Status.RUNNING)


def _record(c: Connection, job_id: str, kind: str, data: Mapping[str, Any]) -> None:
    _change(c, jobs.c.id == job_id, {}, kind, data)


def _change(
    c: Connection, where: ColumnElement[bool], values: Mapping[str, Any], kind: str, data: Mapping[str, Any]
) -> RowMapping | None:
    """Update the one job that matches and append the event that tells of it; None where no job matches."""
    changed = update(jobs).where(where).values(**values, version=jobs.c.version + 1)
    if "status" in values:
        changed = changed.where(jobs.c.status.in_(sources(values["status"])))
    row = c.execute(changed.returning(jobs.c.id, jobs.c.version, jobs.c.attempt, jobs.c.spec)).mappings().one_or_none()
    if row is not None:
        c.execute(insert(events).values(job_id=row["id"], seq=row["version"], type=kind, data=dict(data), at=now()))
    return row


def _fenced(c: Connection, lease: Lease, values: Mapping[str, Any], kind: str, data: Mapping[str, Any]) -> None:
    if _change(c, _held(lease), values, kind, data) is None:
        raise LeaseLost(f"{lease.job_id} is no longer held by attempt {lease.attempt}")


def _end(c: Connection, where: ColumnElement[bool], outcome: Outcome) -> bool:
    error = asdict(outcome.error) if outcome.error else None
    values = {
        "status": outcome.status, "stop_reason": outcome.stop_reason, "error": error, "phase": None,
        "lease_until": None, "finished_at": now(),
    }  # fmt: skip
    told = {"status": outcome.status, "stop_reason": outcome.stop_reason, "error": error}
    return _change(c, where, values, "status", told) is not None


def _locked(c: Connection, tenant: str, job_id: str) -> RowMapping:
    wanted = select(jobs.c.status, jobs.c.cancel_requested).where(jobs.c.tenant == tenant, jobs.c.id == job_id)
    row = c.execute(wanted.with_for_update()).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row
