"""The leases of workers: claimed, renewed, written under, ended and reaped."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, insert, select, update

from service.core.errors import NoRoom, ObjectMissing
from service.core.records.capacity import Capacity
from service.core.records.epoch import Epoch
from service.core.records.job import (
    Checkpoint,
    ControlRequest,
    Outcome,
    Phase,
    Retries,
    Status,
    StopReason,
)
from service.core.records.job_log import LogLine
from service.core.records.lease import Lease
from service.core.records.room import Room, needed_to_start
from service.core.records.splits import Splits
from service.core.sql.clock import now
from service.core.sql.jobs import transitions
from service.core.sql.jobs.claimable import fits, is_claimable
from service.core.sql.jobs.fencing import change_held, is_held, lock_held, lost
from service.core.sql.jobs.insert import SCORES
from service.core.sql.jobs.job_logs import add_lines
from service.core.sql.jobs.lost_workers import release_advanced, take_back
from service.core.sql.jobs.queue_order import TAKEN_FIRST
from service.core.sql.jobs.rows import checkpoints_of, facts_columns, facts_of, is_at_pause, lost_attempts_of, needs_of
from service.core.sql.jobs.transitions import change, end, queue_again
from service.core.sql.repository import Repository
from service.core.sql.tables import epochs, events, jobs
from service.core.sql.weights import files_of
from service.core.storage import Artifact

CHECKPOINTS_KEPT = 2


class JobLeases(Repository):
    """A write under a lease is fenced: it raises LeaseLost, and changes nothing, once another attempt has the job."""

    def weights_files(self, lease: Lease) -> tuple[Artifact, ...]:
        """The files of the weights that the job starts from: uploaded ones, or the best model of a job and its labels.

        Empty if it starts from none, or from published ones. Raises ObjectMissing if they are gone.
        """
        query = select(jobs.c.tenant, jobs.c.weights).where(jobs.c.id == lease.job_id)
        with self._db.read() as c:
            row = c.execute(query).one_or_none()
            if row is None or row.weights is None:
                return ()
            files = files_of(c, row.tenant, row.weights)
        if not files:
            raise ObjectMissing(f"the weights {row.weights} that the job starts from are gone")
        return files

    # The lease itself

    def claim(
        self,
        worker: str,
        lease_seconds: float,
        capacity: Capacity | None = None,
        but: Collection[str] = (),
        room: Room | None = None,
    ) -> Lease | None:
        """Take the first queued job that a worker of this capacity can hold (None: any job), except those in `but`.

        None if there is none. Raises NoRoom if that job does not fit into `room`, what the jobs leave that the worker
        holds already (None: it holds none); a later job that would fit is not taken instead.
        """
        conditions = [is_claimable(self._quotas)]
        if capacity is not None:
            conditions.append(fits(capacity))
        if but:
            conditions.append(jobs.c.id.not_in(but))
        first = select(jobs.c.id).where(*conditions).order_by(*TAKEN_FIRST).limit(1).with_for_update(skip_locked=True)
        values = {
            "status": Status.RUNNING,
            "phase": Phase.PREPARING,
            "attempt": jobs.c.attempt + 1,
            "worker": worker,
            "lease_until": now() + lease_seconds,
            "started_at": func.coalesce(jobs.c.started_at, now()),
        }
        with self._db.write() as c:
            if room is not None and capacity is not None:
                _refuse_without_room(c, first, capacity, room)
            where = and_(jobs.c.id == first.scalar_subquery(), jobs.c.status == Status.QUEUED)
            row = change(c, where, values, "status", {"status": Status.RUNNING})
            if row is None:
                return None
        self._on_change(row["id"])
        spec = dict(row["spec"])
        scores = spec.pop(SCORES, None)
        return Lease(
            row["id"],
            row["attempt"],
            spec,
            needs_of(row),
            checkpoints_of(row),
            lost_attempts_of(row),
            row["traceparent"],
            row["pause_after"],
            is_trial=row["fit"] is not None,
            only_scores=scores is not None,
        )

    def renew(self, lease: Lease, lease_seconds: float) -> ControlRequest | None:
        """Hold the job for another `lease_seconds`; returns the owner's request. Raises LeaseLost."""
        renewal = update(jobs).where(is_held(lease)).values(lease_until=now() + lease_seconds)
        with self._db.write() as c:
            row = c.execute(renewal.returning(jobs.c.cancel_requested, jobs.c.pause_requested)).one_or_none()
        return _control_request(lease, row)

    def control_request(self, lease: Lease) -> ControlRequest | None:
        """The owner's request to the worker, None if there is none. Raises LeaseLost."""
        query = select(jobs.c.cancel_requested, jobs.c.pause_requested).where(is_held(lease))
        with self._db.read() as c:
            row = c.execute(query).one_or_none()
        return _control_request(lease, row)

    def release(self, lease: Lease, *, is_leaving: bool) -> Status | None:
        """Give the job back, to be continued from its last checkpoint: paused if its owner has asked for that or if it
        has the epochs of its `pause_after`, else queued. With `is_leaving` (the worker stops), the return to the queue
        is counted. Raises LeaseLost.

        None, and nothing is changed, if the owner has cancelled the job: then the worker must finish it.
        """
        with self._db.write() as c:
            row = lock_held(c, lease)
            if row["cancel_requested"]:
                return None
            is_paused = row["pause_requested"] or is_at_pause(row)
            if is_paused:
                transitions.pause(c, is_held(lease), {})
            else:
                queue_again(c, is_held(lease), {"releases": row["releases"] + is_leaving})
        self._on_change(lease.job_id)
        return Status.PAUSED if is_paused else Status.QUEUED

    # Progress

    def rewind(self, lease: Lease, checkpoint: Checkpoint | None) -> None:
        """The attempt continues from this checkpoint of its lease, or from the beginning: delete the later epochs and
        the record of newer checkpoints. Raises LeaseLost.
        """
        done = checkpoint.epochs if checkpoint else 0
        usable = lease.checkpoints[lease.checkpoints.index(checkpoint) :] if checkpoint else ()
        with self._db.write() as c:
            lock_held(c, lease)
            c.execute(delete(epochs).where(epochs.c.job_id == lease.job_id, epochs.c.epoch > done))
            best = select(func.max(epochs.c.epoch)).where(epochs.c.job_id == lease.job_id, epochs.c.improved)
            values = {
                "last_epoch": done or None,
                "best_epoch": c.execute(best).scalar(),
                "checkpoints": [asdict(kept) for kept in usable],
            }
            change_held(c, lease, values, "resumed", {"after_epoch": done})
        self._on_change(lease.job_id)

    def set_phase(self, lease: Lease, phase: Phase) -> None:
        """Record the phase of the run. Raises LeaseLost."""
        with self._db.write() as c:
            change_held(c, lease, {"phase": phase}, "phase", {"phase": phase})
        self._on_change(lease.job_id)

    def append(self, lease: Lease, measured: Iterable[Epoch]) -> None:
        """Record epochs in order, each with its event, in one transaction. Raises LeaseLost.

        Recorded epochs are skipped, so that a write can be repeated when its answer was lost.
        """
        with self._db.write() as c:
            recorded = c.execute(select(jobs.c.last_epoch).where(is_held(lease)).with_for_update()).scalar() or 0
            rows = [asdict(epoch) for epoch in measured if epoch.epoch > recorded]
            if not rows:
                return
            values = {"last_epoch": rows[-1]["epoch"]}
            if best := next((row["epoch"] for row in reversed(rows) if row["improved"]), None):
                values["best_epoch"] = best
            change_held(c, lease, values, "epoch", *rows)
            c.execute(insert(epochs).values(job_id=lease.job_id, attempt=lease.attempt), rows)
        self._on_change(lease.job_id)

    def record_checkpoint(self, lease: Lease, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
        """Record a checkpoint that is in the storage; returns those that are not needed any more. Raises LeaseLost."""
        with self._db.write() as c:
            row = lock_held(c, lease)
            # The checkpoint may be recorded already: the answer to a former write was lost.
            others = [kept for kept in checkpoints_of(row) if kept != checkpoint]
            stored = [asdict(kept) for kept in (checkpoint, *others)]
            c.execute(update(jobs).where(is_held(lease)).values(checkpoints=stored[:CHECKPOINTS_KEPT]))
        return tuple(others[CHECKPOINTS_KEPT - 1 :])

    def checkpoints(self, job_id: str) -> tuple[Checkpoint, ...]:
        """The job's stored checkpoints, the newest first; none if there is no such job."""
        with self._db.read() as c:
            row = c.execute(select(jobs.c.checkpoints).where(jobs.c.id == job_id)).mappings().one_or_none()
            return checkpoints_of(row) if row else ()

    def record_facts(
        self, lease: Lease, facts: Mapping[str, Any], splits: Splits | None = None, warnings: Sequence[str] = ()
    ) -> None:
        """Add facts and warnings to the recorded ones, and set the names of the splits that are used. Nothing changes
        if all is recorded already. Raises LeaseLost.
        """
        with self._db.write() as c:
            row = lock_held(c, lease)
            new = [warning for warning in warnings if warning not in row["warnings"]]
            values = facts_columns({**facts_of(row), **facts}) | {"warnings": [*row["warnings"], *new]}
            if splits:
                values |= {"split": splits.validation, "test_split": splits.test}
            if all(row[name] == value for name, value in values.items()):
                return
            change_held(c, lease, values, "facts", facts)
        self._on_change(lease.job_id)

    def record_diagnosis(self, lease: Lease, diagnosis: Mapping[str, Any]) -> None:
        """Append the event of a verdict, unless a former attempt has reported the same verdict. Raises LeaseLost."""
        with self._db.write() as c:
            lock_held(c, lease)
            if not diagnosis["is_final"] and diagnosis["verdict"] in _live_verdicts(c, lease.job_id):
                return
            change_held(c, lease, {}, "diagnosis", diagnosis)
        self._on_change(lease.job_id)

    def write_log(self, lease: Lease, lines: Sequence[LogLine]) -> None:
        """Add lines to the job's log. Raises LeaseLost."""
        with self._db.write() as c:
            lock_held(c, lease)
            add_lines(c, lease.job_id, lease.attempt, lines)

    # The end of an attempt

    def finish(self, lease: Lease, outcome: Outcome, published: Sequence[Artifact]) -> Outcome:
        """End the job with its outcome, its manifest and its last event, all or nothing. Raises LeaseLost.

        Returns the recorded outcome: that is CANCELLED if the owner has cancelled the job before, unless the job
        failed by its own fault.
        """
        with self._db.write() as c:
            row = lock_held(c, lease)
            is_infrastructure = outcome.error is not None and outcome.error.origin == "infrastructure"
            if row["cancel_requested"] and (outcome.status is Status.SUCCEEDED or is_infrastructure):
                outcome = Outcome(Status.CANCELLED, StopReason.CANCELLED)
            if not end(c, is_held(lease), outcome, published):
                raise lost(lease)
        self._on_change(lease.job_id)
        return outcome

    def record_lost_attempt(self, lease: Lease, cause: str, retries: Retries) -> Status | None:
        """The attempt failed by no fault of the job: try again later. Raises LeaseLost.

        None, and nothing is changed, if it was the last attempt or the owner has cancelled the job: then the worker
        must finish it.
        """
        with self._db.write() as c:
            row = lock_held(c, lease)
            if row["cancel_requested"] or len(row["losses"]) + 1 >= retries.attempts:
                return None
            status = transitions.record_lost_attempt(c, is_held(lease), row, cause, retries)
        self._on_change(lease.job_id)
        return status

    # Leases of lost workers

    def reap(self, retries: Retries) -> dict[str, Status]:
        """Take the jobs of lapsed leases from their workers; returns the new status of each job by its id."""
        lapsed = and_(jobs.c.status == Status.RUNNING, jobs.c.lease_until < now())
        with self._db.read() as c:  # a read needs no writer's lock, and mostly finds nothing
            if c.execute(select(jobs.c.id).where(lapsed).limit(1)).first() is None:
                return {}
        return self._take(lambda c: take_back(c, lapsed, "its lease ran out", retries))

    def recover(self, retries: Retries, worker: str | None = None) -> dict[str, Status]:
        """Take every running job from its worker, or those of one worker; returns the new status of each by its id.

        To be called only when no such worker can be alive: a job that a worker still holds would be taken from it.
        An attempt of the one worker is not lost but released, if it reached an epoch that no attempt had reached.
        """
        is_running = jobs.c.status == Status.RUNNING
        if worker is None:
            return self._take(lambda c: take_back(c, is_running, "all processes of its machine had ended", retries))
        is_lost = and_(is_running, jobs.c.worker == worker)
        released = self._take(lambda c: release_advanced(c, is_lost))
        return released | self._take(lambda c: take_back(c, is_lost, "its process had ended", retries))

    def _take(self, take: Callable[[Connection], dict[str, Status]]) -> dict[str, Status]:
        with self._db.write() as c:
            statuses = take(c)
        for job_id in statuses:
            self._on_change(job_id)
        return statuses


def _refuse_without_room(c: Connection, first: Select[Any], capacity: Capacity, room: Room) -> None:
    """Raise NoRoom if the job that is selected does not fit into the room. On PostgreSQL its row stays locked."""
    query = first.with_only_columns(jobs.c.id, jobs.c.device, jobs.c.gpus, jobs.c.memory_bytes, jobs.c.threads)
    row = c.execute(query).mappings().one_or_none()
    if row is not None and not room.holds(needed_to_start(capacity, needs_of(row))):
        raise NoRoom(f"there is no room for {row['id']} until a running job ends")


def _control_request(lease: Lease, row: Any) -> ControlRequest | None:
    if row is None:
        raise lost(lease)
    if row.cancel_requested:
        return ControlRequest.CANCEL
    return ControlRequest.PAUSE if row.pause_requested else None


def _live_verdicts(c: Connection, job_id: str) -> frozenset[str]:
    """The verdicts that the job's events have reported, without the final one."""
    query = select(events.c.data).where(events.c.job_id == job_id, events.c.type == "diagnosis")
    return frozenset(data["verdict"] for data in c.execute(query).scalars() if not data["is_final"])
