"""The fence around what a worker writes: every statement carries the attempt, and an old attempt changes nothing."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from service.core.errors import LeaseLost
from service.core.records.job import Status
from service.core.records.lease import Lease
from service.core.sql.jobs.transitions import change
from service.core.sql.tables import jobs


def is_held(lease: Lease) -> ColumnElement[bool]:
    """The job still runs under this lease."""
    return and_(jobs.c.id == lease.job_id, jobs.c.attempt == lease.attempt, jobs.c.status == Status.RUNNING)


def lock_held(c: Connection, lease: Lease) -> RowMapping:
    """The job's row, locked until the end of the transaction. Raises LeaseLost."""
    row = c.execute(select(jobs).where(is_held(lease)).with_for_update()).mappings().one_or_none()
    if row is None:
        raise lost(lease)
    return row


def change_held(c: Connection, lease: Lease, values: Mapping[str, Any], kind: str, *data: Mapping[str, Any]) -> None:
    """Update the job's row and append an event for each of `data`. Raises LeaseLost."""
    if change(c, is_held(lease), values, kind, *data) is None:
        raise lost(lease)


def lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"{lease.job_id} is no longer held by attempt {lease.attempt}")
