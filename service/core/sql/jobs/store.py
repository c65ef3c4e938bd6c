"""Every SQL statement about jobs.

Each change of a job is one transaction that writes the job's row, raises its `version` by one and appends the event
of that number (changes.py). What a worker writes is fenced: it carries the attempt, and an old one changes nothing.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from service.core.errors import Conflict, LeaseLost, NotFound
from service.core.records.capacity import Capacity, can_be_held
from service.core.records.epoch import COLUMNS, Epoch
from service.core.records.job import (
    TERMINAL,
    Checkpoint,
    ControlRequest,
    Job,
    LostAttempt,
    Outcome,
    Phase,
    Retries,
    Status,
    StopReason,
)
from service.core.records.plan import Plan, Splits
from service.core.records.quotas import UNLIMITED, Quotas
from service.core.spec import JobSpec
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.jobs import transitions
from service.core.sql.jobs.insert import (
    NOWHERE,
    UNNAMED,
    IdempotencyKey,
    Origin,
    insert_job,
    job_of_key,
    refuse_without_data,
    shared,
)
from service.core.sql.jobs.job_logs import Entry, LogLine, add_lines, newest_lines
from service.core.sql.jobs.lineage import Relative, family
from service.core.sql.jobs.rows import WHOLE_JOB, read_job, read_jobs
from service.core.sql.jobs.transitions import (
    change,
    checkpoints_of,
    end,
    locked,
    lost_attempts_of,
    next_turn,
    queue_again,
)
from service.core.sql.tables import artifacts, datasets, epochs, events, jobs, labels
from service.core.sql.usage import refuse_another_job, tenants_that_may_run
from service.core.storage import Artifact

TAKEN_FIRST = (jobs.c.priority.desc(), jobs.c.turn, jobs.c.seq)  # the order in which queued jobs are claimed
CHECKPOINTS_KEPT = 2
SIBLINGS = 200  # jobs of one split that are looked through
REAPED_AT_ONCE = 100  # lapsed leases in one transaction


@dataclass(frozen=True)
class Lease:
    """A worker's right to run a job, proven by the attempt it was given. The spec is as stored: plain data.

    `checkpoints` and `losses` are those of former attempts, the newest checkpoint first. `traceparent` is that of the
    request that the job came with.
    """

    job_id: str
    attempt: int
    spec: Mapping[str, Any]
    checkpoints: tuple[Checkpoint, ...] = ()
    lost_attempts: tuple[LostAttempt, ...] = ()
    traceparent: str | None = None


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job, at `at` (unix seconds); ids count from 1 for each job."""

    id: int
    type: str
    at: float
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Jobs, newest first, and where the next page begins (None at the end)."""

    jobs: tuple[Job, ...]
    next_seq: int | None


class Store:
    """The job record. `on_change` is called with the job's id after each commit that changed it."""

    def __init__(
        self,
        database: Database,
        on_change: Callable[[str], None] = lambda job_id: None,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self._db = database
        self._on_change = on_change
        self._quotas = quotas

    # What clients do

    def submit(
        self, tenant: str, spec: JobSpec, key: IdempotencyKey | None = None, warnings: Sequence[str] = (),
        splits: Splits = UNNAMED, origin: Origin = NOWHERE, memory_bytes: int | None = None,
    ) -> tuple[Job, bool]:  # fmt: skip
        """Insert a queued job with its first event and its key; the caller sends the hint after this returns.

        Returns the job and whether it is new: the second of two requests with one key gets the job of the first. Raises
        KeyReused where the first asked for something else, Conflict where the data set is gone by now, and
        QuotaExceeded.
        """
        job_id = f"job_{secrets.token_hex(10)}"
        try:
            with self._db.write() as c:
                if key and (known := job_of_key(c, tenant, key)):
                    return known, False
                refuse_another_job(c, tenant, self._quotas)
                insert_job(c, tenant, job_id, spec, key, warnings, splits, origin, memory_bytes)
                job = read_job(c, tenant, job_id)
        except IntegrityError:  # the other request with this key was faster
            if key is None:
                raise
            with self._db.read() as c:
                if known := job_of_key(c, tenant, key):
                    return known, False
            raise
        self._on_change(job_id)
        return job, True

    def get(self, tenant: str, job_id: str) -> Job:
        """Raises NotFound."""
        with self._db.read() as c:
            return read_job(c, tenant, job_id)

    def list(
        self, tenant: str, limit: int, before_seq: int | None = None,
        statuses: Sequence[Status] = (), wanted_labels: Sequence[tuple[str, str]] = (), text: str = "",
    ) -> Page:  # fmt: skip
        """A page of at most `limit` jobs that match all of the filters, newest first. `text` is looked for in id, name
        and data set (id and name), whatever the case.
        """
        where = [jobs.c.tenant == tenant]
        if before_seq is not None:
            where.append(jobs.c.seq < before_seq)
        if statuses:
            where.append(jobs.c.status.in_(statuses))
        for key, value in wanted_labels:
            found = select(labels.c.job_id).where(labels.c.key == key, labels.c.value == value)
            where.append(jobs.c.id.in_(found))
        if text:
            searched = (jobs.c.id, jobs.c.dataset, jobs.c.spec["name"].as_string())
            named = and_(datasets.c.tenant == tenant, datasets.c.name.icontains(text, autoescape=True))
            trained = jobs.c.dataset.in_(select(datasets.c.id).where(named))
            where.append(or_(trained, *(column.icontains(text, autoescape=True) for column in searched)))
        with self._db.read() as c:
            rows = c.execute(WHOLE_JOB.where(*where).order_by(jobs.c.seq.desc()).limit(limit + 1)).mappings().all()
            found_jobs = read_jobs(c, rows[:limit])
        return Page(found_jobs, rows[limit - 1]["seq"] if len(rows) > limit else None)

    def cancel(self, tenant: str, job_id: str) -> tuple[Job, bool]:
        """Cancel at once what no worker holds, ask the worker otherwise. Returns the job and whether it changed."""

        def cancelled(c: Connection, row: RowMapping) -> bool:
            if row["status"] in TERMINAL or row["cancel_requested"]:
                return False
            if row["status"] == Status.RUNNING:
                change(c, jobs.c.id == job_id, {"cancel_requested": True}, "cancel_requested", {})
            else:
                end(c, jobs.c.id == job_id, Outcome(Status.CANCELLED, StopReason.CANCELLED))
            return True

        return self._act(tenant, job_id, cancelled)

    def pause(self, tenant: str, job_id: str) -> tuple[Job, bool]:
        """Set a queued job aside at once, ask the worker of a running one to. Raises Conflict for an ended one."""

        def paused(c: Connection, row: RowMapping) -> bool:
            _refuse_if_cancelled(row)
            if row["status"] == Status.PAUSED or row["pause_requested"]:
                return False
            if row["status"] == Status.QUEUED:
                transitions.pause(c, jobs.c.id == job_id, {})
            elif row["status"] == Status.RUNNING:
                change(c, jobs.c.id == job_id, {"pause_requested": True}, "pause_requested", {})
            else:
                raise _conflict(row, "only a queued or running job can be paused")
            return True

        return self._act(tenant, job_id, paused)

    def resume(self, tenant: str, job_id: str, plan: Plan | None = None) -> tuple[Job, bool]:
        """Put a paused job back into the queue, or take back a wish to pause. Raises Conflict where it is neither.

        By a plan, to be run by as many processes as it says; that takes a paused one.
        """

        def resumed(c: Connection, row: RowMapping) -> bool:
            _refuse_if_cancelled(row)
            if row["status"] == Status.PAUSED:
                turn = next_turn(c, tenant, row["priority"])
                queue_again(c, jobs.c.id == job_id, {"turn": turn, **shared(plan)})
            elif row["pause_requested"] and plan is None:
                change(c, jobs.c.id == job_id, {"pause_requested": False}, "resume_requested", {})
            else:
                raise _conflict(row, "only a paused job can be resumed")
            return True

        return self._act(tenant, job_id, resumed)

    def retry(self, tenant: str, job_id: str, plan: Plan | None = None) -> tuple[Job, bool]:
        """Queue a failed job again. Raises Conflict for any other.

        It goes on from its last checkpoint where the infrastructure had failed it, and from its beginning where it was
        the job itself that could not go on. By a plan, it is run by as many processes as that says.
        """

        def retried(c: Connection, row: RowMapping) -> bool:
            if row["status"] != Status.FAILED:
                raise _conflict(row, "only a failed job can be retried")
            refuse_without_data(c, tenant, row["dataset"])
            anew: dict[str, Any] = {}
            if (row["error"] or {}).get("origin") != "infrastructure":
                anew = {"checkpoints": [], "last_epoch": None, "best_epoch": None, "facts": None}
                c.execute(delete(epochs).where(epochs.c.job_id == job_id))
            c.execute(delete(artifacts).where(artifacts.c.job_id == job_id))
            turn = next_turn(c, tenant, row["priority"])
            fresh: dict[str, Any] = {
                "error": None, "stop_reason": None, "finished_at": None, "losses": [], "turn": turn,
                "cancel_requested": False, "waste": None,
            }  # fmt: skip
            queue_again(c, jobs.c.id == job_id, fresh | anew | shared(plan))
            return True

        return self._act(tenant, job_id, retried)

    def refuse_to_delete_living(self, tenant: str, job_id: str) -> None:
        """Raise Conflict while the job lives, NotFound where there is none."""
        with self._db.read() as c:
            _refuse_living(read_job(c, tenant, job_id).status)

    def known(self, tenant: str, key: IdempotencyKey) -> Job | None:
        """The job of a former request with this key. Raises KeyReused where that asked for something else."""
        with self._db.read() as c:
            return job_of_key(c, tenant, key)

    def delete(self, tenant: str, job_id: str) -> None:
        """Forget an ended job; raises Conflict while it lives."""
        with self._db.write() as c:
            row = locked(c, tenant, job_id)
            _refuse_living(row["status"])
            at = row["finished_at"] or 0.0
            used = and_(datasets.c.id == row["dataset"], func.coalesce(datasets.c.used_at, 0.0) < at)
            c.execute(update(datasets).where(used, datasets.c.tenant == tenant).values(used_at=at))
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

    def counts(self, tenant: str) -> dict[Status, int]:
        """How many of the tenant's jobs have which status; one that none has is left out."""
        wanted = select(jobs.c.status, func.count()).where(jobs.c.tenant == tenant).group_by(jobs.c.status)
        with self._db.read() as c:
            return {Status(status): count for status, count in c.execute(wanted)}

    def count_on(self, tenant: str, dataset_id: str) -> int:
        """How many of the tenant's jobs are of this data set."""
        wanted = select(func.count()).select_from(jobs).where(jobs.c.tenant == tenant, jobs.c.dataset == dataset_id)
        with self._db.read() as c:
            return c.execute(wanted).scalar_one()

    def sparklines(self, found: Sequence[Job], points: int) -> dict[str, tuple[float, ...]]:
        """The finite val_loss of at most `points` (2 or more) epochs, evenly spread, of each of these jobs, by id."""
        wanted = [
            (job.id, epoch)
            for job in found
            if job.last
            for epoch in sorted({round(1 + (job.last.epoch - 1) * at / (points - 1)) for at in range(points)})
        ]
        if not wanted:
            return {job.id: () for job in found}
        where = (tuple_(epochs.c.job_id, epochs.c.epoch).in_(wanted), epochs.c.val_loss.is_not(None))
        losses = select(epochs.c.job_id, epochs.c.val_loss).where(*where).order_by(epochs.c.job_id, epochs.c.epoch)
        with self._db.read() as c:
            rows = c.execute(losses).all()
        return {job.id: tuple(loss for job_id, loss in rows if job_id == job.id) for job in found}

    def get_many(self, tenant: str, job_ids: Sequence[str]) -> tuple[tuple[Job, ...], dict[str, float]]:
        """These jobs, in this order, and the seconds of each one's completed epochs by its id. Raises NotFound."""
        spent = select(epochs.c.job_id, func.sum(epochs.c.seconds).label("seconds")).where(epochs.c.job_id.in_(job_ids))
        with self._db.read() as c:
            found = tuple(read_job(c, tenant, job_id) for job_id in job_ids)
            rows = c.execute(spent.group_by(epochs.c.job_id)).all()
        return found, {row.job_id: row.seconds for row in rows}

    def events(self, tenant: str, job_id: str, after: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        """Whether the job has ended, and at most `limit` of its events after the given one. Raises NotFound."""
        wanted = select(events).where(events.c.job_id == job_id, events.c.seq > after)
        with self._db.read() as c:
            status = _status(c, tenant, job_id)
            rows = c.execute(wanted.order_by(events.c.seq).limit(limit)).mappings()
            found = tuple(Event(row["seq"], row["type"], row["at"], row["data"]) for row in rows)
        return status in TERMINAL, found

    def newest_events(self, tenant: str, job_id: str, but: Sequence[str], limit: int) -> tuple[Event, ...]:
        """The newest `limit` events of other types than those, the newest first. Raises NotFound."""
        wanted = select(events).where(events.c.job_id == job_id, events.c.type.not_in(but))
        with self._db.read() as c:
            _status(c, tenant, job_id)
            rows = c.execute(wanted.order_by(events.c.seq.desc()).limit(limit)).mappings()
            return tuple(Event(row["seq"], row["type"], row["at"], row["data"]) for row in rows)

    def log(self, tenant: str, job_id: str, after: int, tail: int) -> tuple[bool, tuple[Entry, ...]]:
        """Whether the job has ended, and the newest `tail` lines of its log after the given one. Raises NotFound."""
        with self._db.read() as c:
            status = _status(c, tenant, job_id)
            return status in TERMINAL, newest_lines(c, job_id, after, tail)

    def lineage(self, tenant: str, job_id: str) -> tuple[Relative, ...]:
        """The job's family, the oldest first. Raises NotFound."""
        with self._db.read() as c:
            return family(c, tenant, job_id)

    def with_same_split(self, job: Job) -> tuple[Job, ...]:
        """The tenant's newest jobs that were scored on the same images and have ended, this one among them."""
        if job.split is None:  # of a release that did not name them
            return ()
        same = and_(jobs.c.tenant == job.tenant, jobs.c.split == job.split, jobs.c.status == Status.SUCCEEDED)
        with self._db.read() as c:
            newest = WHOLE_JOB.where(same).order_by(jobs.c.seq.desc()).limit(SIBLINGS)
            return read_jobs(c, c.execute(newest).mappings().all())

    def earlier_tests(self, job: Job) -> int:
        """How many of the tenant's earlier jobs have been scored on the same test images."""
        scored = and_(jobs.c.status.in_([Status.SUCCEEDED, Status.CANCELLED]), jobs.c.best_epoch.is_not(None))
        own = and_(jobs.c.tenant == job.tenant, jobs.c.test_split == job.test_split, scored)
        this = select(jobs.c.seq).where(jobs.c.id == job.id).scalar_subquery()
        with self._db.read() as c:
            return c.execute(select(func.count()).select_from(jobs).where(own, jobs.c.seq < this)).scalar_one()

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

    def claim(
        self, worker: str, lease_seconds: float, capacity: Capacity | None = None, but: Collection[str] = ()
    ) -> Lease | None:
        """Take the queued job that is first in order of those that the worker can hold (None: any), but none of those
        named; None where there is none.
        """
        ours = [self._claimable()]
        if capacity is not None:
            ours.append(capacity.holds())
        if but:
            ours.append(jobs.c.id.not_in(but))
        first = (
            select(jobs.c.id).where(*ours).order_by(*TAKEN_FIRST).limit(1)
            .with_for_update(skip_locked=True).scalar_subquery()
        )  # fmt: skip
        values = {
            "status": Status.RUNNING, "phase": Phase.PREPARING, "attempt": jobs.c.attempt + 1, "worker": worker,
            "lease_until": now() + lease_seconds, "started_at": func.coalesce(jobs.c.started_at, now()),
        }  # fmt: skip
        with self._db.write() as c:
            where = and_(jobs.c.id == first, jobs.c.status == Status.QUEUED)
            row = change(c, where, values, "status", {"status": Status.RUNNING})
            if row is None:
                return None
        self._on_change(row["id"])
        checkpoints, losses = checkpoints_of(row), lost_attempts_of(row)
        return Lease(row["id"], row["attempt"], row["spec"], checkpoints, losses, row["traceparent"])

    def renew(self, lease: Lease, lease_seconds: float) -> ControlRequest | None:
        """Hold the job for another `lease_seconds`; returns what its owner wants of us. Raises LeaseLost."""
        renewal = update(jobs).where(_held(lease)).values(lease_until=now() + lease_seconds)
        with self._db.write() as c:
            row = c.execute(renewal.returning(jobs.c.cancel_requested, jobs.c.pause_requested)).one_or_none()
        return _wish(lease, row)

    def wish(self, lease: Lease) -> ControlRequest | None:
        """What the job's owner wants of us. Raises LeaseLost."""
        with self._db.read() as c:
            row = c.execute(select(jobs.c.cancel_requested, jobs.c.pause_requested).where(_held(lease))).one_or_none()
        return _wish(lease, row)

    def rewind(self, lease: Lease, checkpoint: Checkpoint | None) -> None:
        """The attempt goes on from this checkpoint of its lease, or from the beginning: forget what was recorded after
        it, and any newer checkpoint. Raises LeaseLost.
        """
        done = checkpoint.epochs if checkpoint else 0
        usable = lease.checkpoints[lease.checkpoints.index(checkpoint) :] if checkpoint else ()
        with self._db.write() as c:
            _row(c, lease)
            c.execute(delete(epochs).where(epochs.c.job_id == lease.job_id, epochs.c.epoch > done))
            best = select(func.max(epochs.c.epoch)).where(epochs.c.job_id == lease.job_id, epochs.c.improved)
            values = {
                "last_epoch": done or None, "best_epoch": c.execute(best).scalar(),
                "checkpoints": [asdict(kept) for kept in usable],
            }  # fmt: skip
            _fenced(c, lease, values, "resumed", {"after_epoch": done})
        self._on_change(lease.job_id)

    def record_checkpoint(self, lease: Lease, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
        """Record a checkpoint that the storage holds; returns those that are not needed any more. Raises LeaseLost."""
        with self._db.write() as c:
            row = c.execute(select(jobs.c.checkpoints).where(_held(lease)).with_for_update()).mappings().one_or_none()
            if row is None:
                raise _lost(lease)
            others = [kept for kept in checkpoints_of(row) if kept != checkpoint]  # it may be there: an answer was lost
            stored = [asdict(kept) for kept in (checkpoint, *others)]
            c.execute(update(jobs).where(_held(lease)).values(checkpoints=stored[:CHECKPOINTS_KEPT]))
        return tuple(others[CHECKPOINTS_KEPT - 1 :])

    def set_phase(self, lease: Lease, phase: Phase) -> None:
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

    def record_facts(self, lease: Lease, facts: Mapping[str, Any]) -> None:
        """Record facts beside those that are known; nothing happens where they are known already. Raises LeaseLost."""
        with self._db.write() as c:
            known = _row(c, lease)["facts"] or {}
            if {**known, **facts} == known:
                return
            _fenced(c, lease, {"facts": {**known, **facts}}, "facts", facts)
        self._on_change(lease.job_id)

    def record_diagnosis(self, lease: Lease, told: Mapping[str, Any]) -> None:
        """Append the event of a verdict; one that was told of by a former process of the run is passed over.

        Raises LeaseLost.
        """
        with self._db.write() as c:
            _row(c, lease)
            if not told["is_final"] and told["verdict"] in _verdicts(c, lease.job_id):
                return
            _fenced(c, lease, {}, "diagnosis", told)
        self._on_change(lease.job_id)

    def write_log(self, lease: Lease, lines: Sequence[LogLine]) -> None:
        """Add lines to the job's log. Raises LeaseLost."""
        with self._db.write() as c:
            _row(c, lease)
            add_lines(c, lease.job_id, lease.attempt, lines)

    def checkpoints(self, job_id: str) -> tuple[Checkpoint, ...]:
        """Those that are kept of a job, the newest first."""
        with self._db.read() as c:
            row = c.execute(select(jobs.c.checkpoints).where(jobs.c.id == job_id)).mappings().one_or_none()
            return checkpoints_of(row) if row else ()

    def finish(self, lease: Lease, outcome: Outcome, published: Sequence[Artifact]) -> Outcome:
        """End the job with its outcome, its manifest and its last event, all or nothing. Raises LeaseLost.

        Returns the outcome as recorded: a job that its owner has cancelled before this is cancelled, unless it failed
        through a fault of its own.
        """
        with self._db.write() as c:
            row = c.execute(select(jobs.c.cancel_requested).where(_held(lease)).with_for_update())
            failed_it = outcome.error is not None and outcome.error.origin == "infrastructure"
            if row.scalar() and (outcome.status is Status.SUCCEEDED or failed_it):
                outcome = Outcome(Status.CANCELLED, StopReason.CANCELLED)
            if not end(c, _held(lease), outcome, published):
                raise _lost(lease)
        self._on_change(lease.job_id)
        return outcome

    def release(self, lease: Lease, *, is_leaving: bool) -> Status | None:
        """Let go of the job, to be taken up again from its last checkpoint: paused where its owner wishes so, else
        queued. A worker that `is_leaving`, told to stop, is counted. Raises LeaseLost.

        Returns None, and changes nothing, where the job is to be cancelled: then it is the worker's to finish.
        """
        with self._db.write() as c:
            row = _row(c, lease)
            if row["cancel_requested"]:
                return None
            if row["pause_requested"]:
                transitions.pause(c, _held(lease), {})
            else:
                queue_again(c, _held(lease), {"releases": row["releases"] + is_leaving})
        self._on_change(lease.job_id)
        return Status.PAUSED if row["pause_requested"] else Status.QUEUED

    def record_lost_attempt(self, lease: Lease, cause: str, retries: Retries) -> Status | None:
        """The attempt came to nothing through no fault of the job's: try again later. Raises LeaseLost.

        Returns None, and changes nothing, where it was the last one or the job is to be cancelled: then it is the
        worker's to finish.
        """
        with self._db.write() as c:
            row = _row(c, lease)
            if row["cancel_requested"] or len(row["losses"]) + 1 >= retries.attempts:
                return None
            status = transitions.record_lost_attempt(c, _held(lease), row, cause, retries)
        self._on_change(lease.job_id)
        return status

    def recover(self, retries: Retries) -> dict[str, Status]:
        """Take every running job from its worker; returns what became of each.

        Only for where no worker can be alive: a job that one still holds would be taken from it.
        """
        return self._reap(jobs.c.status == Status.RUNNING, "all processes of its machine had ended", retries)

    # What keeps the queue moving

    def due_hints(self, window: int, older_than: float, workers: Collection[Capacity] = ()) -> tuple[str, ...]:
        """Of the first `window` jobs that can be claimed, and held by one of these workers (none: whoever will come),
        those whose hint is too old (seconds); they count as hinted now.
        """
        fits = can_be_held(workers) if workers else true()
        head = select(jobs.c.id, jobs.c.hinted_at).where(self._claimable(), fits)
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

    def forget_hints(self, *job_ids: str) -> None:
        """The hints of these jobs, or of all jobs, never arrived: they are due at once."""
        lost = update(jobs).where(jobs.c.status == Status.QUEUED).values(hinted_at=None)
        with self._db.write() as c:
            c.execute(lost.where(jobs.c.id.in_(job_ids)) if job_ids else lost)

    def defer_hint(self, job_id: str, older_than: float, seconds: float) -> None:
        """The hint of a queued job came to a worker that cannot hold it: it is due again (as in `due_hints`) in so many
        seconds.
        """
        later = update(jobs).where(jobs.c.id == job_id, jobs.c.status == Status.QUEUED)
        with self._db.write() as c:
            c.execute(later.values(hinted_at=now() - older_than + min(seconds, older_than)))

    def reap(self, retries: Retries) -> dict[str, Status]:
        """Take from lost workers what they held; returns what became of each job."""
        lapsed = and_(jobs.c.status == Status.RUNNING, jobs.c.lease_until < now())
        with self._db.read() as c:  # so that nobody waits for a writer's lock only to find nothing
            if c.execute(select(jobs.c.id).where(lapsed).limit(1)).first() is None:
                return {}
        return self._reap(lapsed, "its lease ran out", retries)

    def _reap(self, lost: ColumnElement[bool], why: str, retries: Retries) -> dict[str, Status]:
        became: dict[str, Status] = {}
        with self._db.write() as c:
            found = select(jobs).where(lost).limit(REAPED_AT_ONCE).with_for_update(skip_locked=True)
            for row in c.execute(found).mappings().all():
                done = f"after epoch {row['last_epoch']}" if row["last_epoch"] else "in its first epoch"
                cause = f"worker {row['worker']} was lost while {row['phase']}, {done}: {why}"
                where = and_(jobs.c.id == row["id"], jobs.c.attempt == row["attempt"], lost)
                if status := transitions.record_lost_attempt(c, where, row, cause, retries):
                    became[row["id"]] = status
        for job_id in became:
            self._on_change(job_id)
        return became

    def _claimable(self) -> ColumnElement[bool]:
        due = or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now())
        return and_(jobs.c.status == Status.QUEUED, due, *tenants_that_may_run(self._quotas))

    def _act(self, tenant: str, job_id: str, action: Callable[[Connection, RowMapping], bool]) -> tuple[Job, bool]:
        """What an owner does to a job: the job after it, and whether it changed."""
        with self._db.write() as c:
            changed = action(c, locked(c, tenant, job_id))
            job = read_job(c, tenant, job_id)
        if changed:
            self._on_change(job_id)
        return job, changed


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(jobs.c.id == lease.job_id, jobs.c.attempt == lease.attempt, jobs.c.status == Status.RUNNING)


def _status(c: Connection, tenant: str, job_id: str) -> str:
    """Raises NotFound."""
    status: str | None = c.execute(select(jobs.c.status).where(jobs.c.tenant == tenant, jobs.c.id == job_id)).scalar()
    if status is None:
        raise NotFound(f"there is no job {job_id!r}")
    return status


def _row(c: Connection, lease: Lease) -> RowMapping:
    """The row of the job we hold, until the end of the transaction. Raises LeaseLost."""
    row = c.execute(select(jobs).where(_held(lease)).with_for_update()).mappings().one_or_none()
    if row is None:
        raise _lost(lease)
    return row


def _verdicts(c: Connection, job_id: str) -> frozenset[str]:
    """Those that a job's events have told of while it ran."""
    wanted = select(events.c.data).where(events.c.job_id == job_id, events.c.type == "diagnosis")
    return frozenset(data["verdict"] for data in c.execute(wanted).scalars() if not data["is_final"])


def _wish(lease: Lease, row: Any) -> ControlRequest | None:
    if row is None:
        raise _lost(lease)
    return ControlRequest.CANCEL if row.cancel_requested else ControlRequest.PAUSE if row.pause_requested else None


def _fenced(c: Connection, lease: Lease, values: Mapping[str, Any], kind: str, data: Mapping[str, Any]) -> None:
    if change(c, _held(lease), values, kind, data) is None:
        raise _lost(lease)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"{lease.job_id} is no longer held by attempt {lease.attempt}")


def _refuse_living(status: str) -> None:
    if status not in TERMINAL:
        raise Conflict(f"the job is {status}; cancel it first, or wait until it ends")


def _refuse_if_cancelled(row: RowMapping) -> None:
    if row["cancel_requested"] and row["status"] not in TERMINAL:
        raise Conflict("the job is being cancelled; nothing else can be done to it until it has ended")


def _conflict(row: RowMapping, why: str) -> Conflict:
    return Conflict(f"the job is {row['status']}; {why}")
