"""The transitions of a job: each changes its row and its version and appends the event of that version."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from service.core.errors import NotFound
from service.core.records.artifact_names import BEST_MODEL
from service.core.records.job import Failure, LostAttempt, Outcome, Retries, Status, StopReason, Waste, sources
from service.core.sql.clock import now
from service.core.sql.jobs.rows import checkpoints_of, lost_attempts_of
from service.core.sql.tables import artifacts, epochs, events, jobs
from service.core.sql.webhook_messages import announce
from service.core.storage import Artifact
from service.core.text import counted

LONGEST_BACKOFF = 300.0  # seconds
SHOWN_CAUSE = 300  # characters of each cause in the error of a job that was lost too often
_UNHELD = {"phase": None, "worker": None, "lease_until": None, "not_before": None, "pause_requested": False}


def change(
    c: Connection, where: ColumnElement[bool], values: Mapping[str, Any], kind: str, *data: Mapping[str, Any]
) -> RowMapping | None:
    """Update the one job that matches and append an event for each of `data`; None if no job matches.

    Each event is a version of the job. A new status needs one from which it can be reached: otherwise no job matches.
    """
    statement = update(jobs).where(where).values(**values, version=jobs.c.version + len(data))
    if "status" in values:
        statement = statement.where(jobs.c.status.in_(sources(values["status"])))
    row = c.execute(statement.returning(jobs)).mappings().one_or_none()
    if row is not None:
        first = row["version"] - len(data) + 1
        rows = [
            {"job_id": row["id"], "seq": first + i, "type": kind, "data": dict(each)} for i, each in enumerate(data)
        ]
        c.execute(insert(events).values(at=now()), rows)
        for each in data:
            announce(c, row, kind, each)
    return row


def end(c: Connection, where: ColumnElement[bool], outcome: Outcome, published: Sequence[Artifact] = ()) -> bool:
    """End the job that matches with its manifest; False if none matches.

    A job that did not succeed and publishes no best model keeps that of its last checkpoint.
    """
    error = asdict(outcome.error) if outcome.error else None
    data = {"status": outcome.status, "stop_reason": outcome.stop_reason, "error": error}
    cleared = {"phase": None, "lease_until": None, "not_before": None, "pause_requested": False}
    row = change(c, where, {**data, **cleared, "finished_at": now()}, "status", data)
    if row is None:
        return False
    best_epoch, manifest = row["best_epoch"], list(published)
    saved = next(iter(checkpoints_of(row)), None)
    has_best = BEST_MODEL in {artifact.name for artifact in manifest}
    if saved and saved.best and outcome.status is not Status.SUCCEEDED and not has_best:
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
    """What the job spent after its best epoch; None if it completed no epoch."""
    spent = select(func.count(), func.sum(epochs.c.seconds), func.sum(epochs.c.joules))
    spent = spent.where(epochs.c.job_id == row["id"])
    count, whole, _ = c.execute(spent).one()
    if not count:
        return None
    after, seconds, joules = c.execute(spent.where(epochs.c.epoch > (best_epoch or 0))).one()
    images = (row["facts"] or {}).get("images", {}).get("train", 0)
    return Waste(after, seconds or 0.0, after * images, (seconds or 0.0) / whole if whole else 0.0, joules)


def queue_again(c: Connection, where: ColumnElement[bool], more: Mapping[str, Any]) -> RowMapping | None:
    """Queue a job again that a worker held or that was paused; the dispatcher sends its hint."""
    values = {"status": Status.QUEUED, **_UNHELD, "hinted_at": None, "queued_at": now(), **more}
    return change(c, where, values, "status", {"status": Status.QUEUED})


def pause(c: Connection, where: ColumnElement[bool], more: Mapping[str, Any]) -> RowMapping | None:
    """Set a job aside until its owner resumes it."""
    return change(c, where, {"status": Status.PAUSED, **_UNHELD, **more}, "status", {"status": Status.PAUSED})


def record_lost_attempt(
    c: Connection, where: ColumnElement[bool], row: RowMapping, cause: str, retries: Retries
) -> Status | None:
    """Record that an attempt was lost; returns the job's new status, None if `where` no longer matches.

    A job that its owner has cancelled ends, and one that its owner has paused is paused. Any other waits and is tried
    again, or fails as worker_lost once `retries.attempts` are lost.
    """
    lost_attempts = (*lost_attempts_of(row), LostAttempt(row["attempt"], row["worker"], cause))
    stored = [asdict(lost) for lost in lost_attempts]
    if row["cancel_requested"]:
        done = end(c, where, Outcome(Status.CANCELLED, StopReason.CANCELLED))
        return Status.CANCELLED if done else None
    if len(lost_attempts) >= retries.attempts:
        c.execute(update(jobs).where(where).values(losses=stored))
        done = end(c, where, Outcome(Status.FAILED, StopReason.WORKER_LOST, too_often(lost_attempts)))
        return Status.FAILED if done else None
    if row["pause_requested"]:
        return Status.PAUSED if pause(c, where, {"losses": stored}) else None
    wait = min(LONGEST_BACKOFF, retries.backoff_seconds * 2 ** (len(lost_attempts) - 1))
    done = queue_again(c, where, {"losses": stored, "not_before": now() + wait}) is not None
    return Status.QUEUED if done else None


def too_often(lost_attempts: Sequence[LostAttempt]) -> Failure:
    """The failure of a job whose attempts were all lost; it names the cause of each."""
    causes = "; ".join(f"attempt {lost.attempt}: {lost.cause[:SHOWN_CAUSE]}" for lost in lost_attempts)
    return Failure("infrastructure", "worker_lost", f"lost {counted(len(lost_attempts), 'attempt')}. {causes}")


def locked(c: Connection, tenant: str, job_id: str) -> RowMapping:
    """The job's row, locked until the end of the transaction. Raises NotFound."""
    query = select(jobs).where(jobs.c.tenant == tenant, jobs.c.id == job_id).with_for_update()
    row = c.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row
