"""Takes jobs from workers that are lost: each is put back into the queue, or ends once it was lost too often."""

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select

from service.core.records.job import Retries, Status
from service.core.sql.jobs.transitions import queue_again, record_lost_attempt
from service.core.sql.tables import events, jobs

TAKEN_AT_ONCE = 100  # jobs in one transaction


def take_back(c: Connection, is_lost: ColumnElement[bool], why: str, retries: Retries) -> dict[str, Status]:
    """Record the loss of an attempt of each of these jobs; returns their new status by id."""
    statuses: dict[str, Status] = {}
    for row in c.execute(_locked(is_lost).limit(TAKEN_AT_ONCE)).mappings().all():
        cause = f"{_loss(row)}: {why}"
        if status := record_lost_attempt(c, _same_attempt(row, is_lost), row, cause, retries):
            statuses[row["id"]] = status
    return statuses


def release_advanced(c: Connection, is_lost: ColumnElement[bool]) -> dict[str, Status]:
    """Put back those of these jobs that have advanced, without a loss; returns their new status by id.

    Epochs are finite, so this cannot go on for ever. A job whose owner has asked to cancel or pause it stays.
    """
    is_free = and_(is_lost, jobs.c.cancel_requested.is_(False), jobs.c.pause_requested.is_(False))
    statuses: dict[str, Status] = {}
    for row in c.execute(_locked(is_free)).mappings().all():
        values = {"releases": row["releases"] + 1}
        if _has_advanced(c, row) and queue_again(c, _same_attempt(row, is_lost), values) is not None:
            statuses[row["id"]] = Status.QUEUED
    return statuses


def _locked(condition: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return select(jobs).where(condition).with_for_update(skip_locked=True)


def _same_attempt(row: RowMapping, is_lost: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(jobs.c.id == row["id"], jobs.c.attempt == row["attempt"], is_lost)


def _has_advanced(c: Connection, row: RowMapping) -> bool:
    """Whether the attempt of a running job reached an epoch that no former attempt had reached."""
    of_job = events.c.job_id == row["id"]
    began = select(func.max(events.c.seq)).where(of_job, events.c.type == "status").scalar_subquery()
    former = and_(of_job, events.c.type == "epoch", events.c.seq < began)
    furthest = c.execute(select(func.max(events.c.data["epoch"].as_integer())).where(former)).scalar()
    return (row["last_epoch"] or 0) > (furthest or 0)


def _loss(row: RowMapping) -> str:
    done = f"after epoch {row['last_epoch']}" if row["last_epoch"] else "in its first epoch"
    return f"worker {row['worker']} was lost while {row['phase']}, {done}"
