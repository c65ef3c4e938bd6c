"""How a job's row is changed: together with its version, its event, and what an end publishes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, select, update

from service.core.errors import NotFound
from service.core.records.artifact_names import BEST_MODEL
from service.core.records.job import (
    Checkpoint,
    Failure,
    LostAttempt,
    Outcome,
    Retries,
    Status,
    StopReason,
    Waste,
    sources,
)
from service.core.sql.clock import now
from service.core.sql.tables import artifacts, epochs, events, jobs
from service.core.sql.webhook_messages import announce
from service.core.storage import Artifact

LONGEST_BACKOFF = 300.0  # seconds
SHOWN_CAUSE = 300  # characters of each loss in the error of a job that was lost too often


def change(
    c: Connection, where: ColumnElement[bool], values: Mapping[str, Any], kind: str, data: Mapping[str, Any]
) -> RowMapping | None:
    """Update the one job that matches and append the event that tells of it; None where no job matches."""
    changed = update(jobs).where(where).values(**values, version=jobs.c.version + 1)
    if "status" in values:
        changed = changed.where(jobs.c.status.in_(sources(values["status"])))
    row = c.execute(changed.returning(jobs)).mappings().one_or_none()
    if row is not None:
        c.execute(insert(events).values(job_id=row["id"], seq=row["version"], type=kind, data=dict(data), at=now()))
        announce(c, row, kind, data)
    return row


def end(c: Connection, where: ColumnElement[bool], outcome: Outcome, published: Sequence[Artifact] = ()) -> bool:
    """End the job that matches with its manifest; False where none does.

    A job that did not succeed and publishes no best model itself keeps that of its last checkpoint.
    """
    error = asdict(outcome.error) if outcome.error else None
    values = {
        "status": outcome.status, "stop_reason": outcome.stop_reason, "error": error, "phase": None,
        "lease_until": None, "not_before": None, "finished_at": now(), "pause_requested": False,
    }  # fmt: skip
    told = {"status": outcome.status, "stop_reason": outcome.stop_reason, "error": error}
    row = change(c, where, values, "status", told)
    if row is None:
        return False
    best_epoch, manifest = row["best_epoch"], list(published)
    saved = next(iter(checkpoints_of(row)), None)
    if saved and saved.best and outcome.status is not Status.SUCCEEDED and BEST_MODEL not in {a.name for a in manifest}:
        manifest.append(saved.best)
        best_epoch = saved.best_epoch
    if manifest:
        rows = [{"job_id": row["id"], "attempt": row["attempt"], **asdict(artifact)} for artifact in manifest]
        c.execute(insert(artifacts), rows)
    waste = _waste(c, row, best_epoch)
    stored = asdict(waste) if waste else None
    c.execute(update(jobs).where(jobs.c.id == row["id"]).values(best_epoch=best_epoch, waste=stored))
    return True


def _waste(c: Connection, row: RowMapping, best_epoch: int | None) -> Waste | None:
    """What the job spent after its best epoch; None where it completed no epoch."""
    spent = select(func.count(), func.sum(epochs.c.seconds), func.sum(epochs.c.joules))
    spent = spent.where(epochs.c.job_id == row["id"])
    count, whole, _ = c.execute(spent).one()
    if not count:
        return None
    after, seconds, joules = c.execute(spent.where(epochs.c.epoch > (best_epoch or 0))).one()
    images = (row["facts"] or {}).get("images", {}).get("train", 0)
    return Waste(after, seconds or 0.0, after * images, (seconds or 0.0) / whole if whole else 0.0, joules)


def queue_again(c: Connection, where: ColumnElement[bool], more: Mapping[str, Any]) -> RowMapping | None:
    """Put a job that a worker held, or that was paused, back into the queue; the dispatcher sends its hint."""
    values = {
        "status": Status.QUEUED, "phase": None, "worker": None, "lease_until": None, "hinted_at": None,
        "not_before": None, "pause_requested": False, "queued_at": now(), **more,
    }  # fmt: skip
    return change(c, where, values, "status", {"status": Status.QUEUED})


def record_lost_attempt(
    c: Connection, where: ColumnElement[bool], row: RowMapping, cause: str, retries: Retries
) -> Status | None:
    """An attempt was lost: the job waits and is tried again, is set aside or ended as its owner wished, or has failed.

    None where `where` matches nothing any more. A job that is lost once too often fails as worker_lost.
    """
    losses = (*lost_attempts_of(row), LostAttempt(row["attempt"], row["worker"], cause))
    stored = [asdict(loss) for loss in losses]
    if row["cancel_requested"]:
        done = end(c, where, Outcome(Status.CANCELLED, StopReason.CANCELLED))
        return Status.CANCELLED if done else None
    if len(losses) >= retries.attempts:
        c.execute(update(jobs).where(where).values(losses=stored))
        done = end(c, where, Outcome(Status.FAILED, StopReason.WORKER_LOST, too_often(losses)))
        return Status.FAILED if done else None
    if row["pause_requested"]:
        return Status.PAUSED if pause(c, where, {"losses": stored}) else None
    wait = min(LONGEST_BACKOFF, retries.backoff_seconds * 2 ** (len(losses) - 1))
    done = queue_again(c, where, {"losses": stored, "not_before": now() + wait}) is not None
    return Status.QUEUED if done else None


def too_often(losses: Sequence[LostAttempt]) -> Failure:
    """The failure of a job whose attempts were all lost: it names what ended each of them."""
    told = "; ".join(f"attempt {loss.attempt}: {loss.cause[:SHOWN_CAUSE]}" for loss in losses)
    return Failure("infrastructure", "worker_lost", f"{len(losses)} attempts were lost. {told}")


def pause(c: Connection, where: ColumnElement[bool], more: Mapping[str, Any]) -> RowMapping | None:
    """Set a job aside until its owner resumes it."""
    values = {
        "status": Status.PAUSED, "phase": None, "worker": None, "lease_until": None, "not_before": None,
        "pause_requested": False, **more,
    }  # fmt: skip
    return change(c, where, values, "status", {"status": Status.PAUSED})


def next_turn(c: Connection, tenant: str, priority: int) -> int:
    """The turn of a job that joins the queue: the tenant's next one, but none that has passed already.

    So tenants take turns within a priority, however many jobs one of them has queued (start-time fair queueing: Goyal,
    Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996, with jobs of equal weight).
    """
    waiting = and_(jobs.c.status == Status.QUEUED, jobs.c.priority == priority)
    head = c.execute(select(func.min(jobs.c.turn)).where(waiting)).scalar()
    own = c.execute(select(func.max(jobs.c.turn)).where(waiting, jobs.c.tenant == tenant)).scalar()
    return max(head or 0, 0 if own is None else own + 1)


def locked(c: Connection, tenant: str, job_id: str) -> RowMapping:
    """The job's row, held until the end of the transaction. Raises NotFound."""
    wanted = select(jobs).where(jobs.c.tenant == tenant, jobs.c.id == job_id).with_for_update()
    row = c.execute(wanted).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row


def lost_attempts_of(row: RowMapping) -> tuple[LostAttempt, ...]:
    """The losses in a job's row, the oldest first."""
    return tuple(LostAttempt(**stored) for stored in row["losses"])


def checkpoints_of(row: RowMapping) -> tuple[Checkpoint, ...]:
    """The checkpoints in a job's row, the newest first."""
    return tuple(
        Checkpoint(
            last=Artifact(**stored["last"]),
            best=Artifact(**stored["best"]) if stored["best"] else None,
            epochs=stored["epochs"],
            best_epoch=stored["best_epoch"],
        )
        for stored in row["checkpoints"]
    )
