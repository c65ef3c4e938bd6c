"""Conditions on rows of `jobs`: which queued ones may be claimed now, and which of them a worker can hold."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, false, func, or_

from service.core.records.capacity import DEVICES, Capacity, Limit
from service.core.records.job import Status
from service.core.records.quotas import Quotas
from service.core.sql.clock import now
from service.core.sql.tables import jobs
from service.core.sql.usage import tenants_that_may_run


def is_claimable(quotas: Quotas) -> ColumnElement[bool]:
    """The job is queued, its wait after a lost attempt is over, and its tenant may run another one."""
    is_due = or_(jobs.c.not_before.is_(None), jobs.c.not_before <= now())
    return and_(jobs.c.status == Status.QUEUED, is_due, *tenants_that_may_run(quotas))


def fits(worker: Capacity) -> ColumnElement[bool]:
    """The worker can hold the job: Capacity.limit in SQL."""
    devices_by_limit: dict[Limit, list[str]] = {}
    for device in DEVICES:
        devices_by_limit.setdefault(worker.limit(device), []).append(device)
    return or_(
        false(), *(and_(jobs.c.device.in_(devices), _is_within(limit)) for limit, devices in devices_by_limit.items())
    )


def fits_any(workers: Iterable[Capacity]) -> ColumnElement[bool]:
    """At least one of the workers can hold the job."""
    return or_(false(), *(fits(worker) for worker in set(workers)))


def _is_within(limit: Limit) -> ColumnElement[bool]:
    conditions = [jobs.c.gpus <= limit.processes]
    memory = func.coalesce(jobs.c.memory_bytes, 0)
    if limit.process_bytes is not None:
        conditions.append(memory <= limit.process_bytes)
    if limit.total_bytes is not None:
        conditions.append(memory * jobs.c.gpus <= limit.total_bytes)
    return and_(*conditions)
