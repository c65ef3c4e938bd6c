"""What a tenant has, counted in SQL against its quotas."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, func, literal, select

from service.core.errors import QuotaExceeded
from service.core.records.dataset import DatasetStatus
from service.core.records.job import Status
from service.core.records.quotas import Quotas
from service.core.sql.tables import artifacts, datasets, jobs

RETRY_SECONDS = 30  # when it may be worth trying again


def refuse_another_job(c: Connection, tenant: str, quotas: Quotas, count: int = 1) -> None:
    """Raise QuotaExceeded where a tenant may not have so many jobs more waiting, or has as much stored as it may."""
    if quotas.queued_jobs is not None:
        _in_turn(c, tenant)
        waiting = select(literal(1)).where(jobs.c.tenant == tenant, jobs.c.status.in_([Status.QUEUED, Status.PAUSED]))
        counted = c.execute(select(func.count()).select_from(waiting.limit(quotas.queued_jobs).subquery())).scalar_one()
        if counted >= quotas.queued_jobs:
            raise QuotaExceeded(
                f"{quotas.queued_jobs} jobs are waiting already, as many as may; wait, or cancel some", RETRY_SECONDS
            )
        if counted + count > quotas.queued_jobs:
            detail = f"{counted} jobs are waiting and {quotas.queued_jobs} may; these would be {count} more"
            raise QuotaExceeded(detail, RETRY_SECONDS)
    _refuse_more_stored(c, tenant, quotas, 0)


def refuse_more_data(c: Connection, tenant: str, quotas: Quotas, size: int) -> None:
    """Raise QuotaExceeded where so many bytes more would be more than a tenant's data sets may have."""
    if quotas.dataset_bytes is not None or quotas.stored_bytes is not None:
        _in_turn(c, tenant)
    if quotas.dataset_bytes is not None and _dataset_bytes(c, tenant) + size > quotas.dataset_bytes:
        raise QuotaExceeded(
            f"your data sets may have {quotas.dataset_bytes:,} bytes together; delete some first", RETRY_SECONDS
        )
    _refuse_more_stored(c, tenant, quotas, size)


def room(c: Connection, tenant: str, quotas: Quotas) -> int | None:
    """How many bytes more a tenant's data sets may have; None: no limit."""
    left = []
    if quotas.dataset_bytes is not None:
        left.append(quotas.dataset_bytes - _dataset_bytes(c, tenant))
    if quotas.stored_bytes is not None:
        left.append(quotas.stored_bytes - _dataset_bytes(c, tenant) - _published_bytes(c, tenant))
    return max(0, min(left)) if left else None


def tenants_that_may_run(quotas: Quotas) -> Iterator[ColumnElement[bool]]:
    """The condition on a job that its tenant has not as many running as it may have."""
    if quotas.running_jobs is not None:
        busy = select(jobs.c.tenant).where(jobs.c.status == Status.RUNNING).group_by(jobs.c.tenant)
        yield jobs.c.tenant.not_in(busy.having(func.count() >= quotas.running_jobs))


def _refuse_more_stored(c: Connection, tenant: str, quotas: Quotas, size: int) -> None:
    if quotas.stored_bytes is None:
        return
    if _published_bytes(c, tenant) + _dataset_bytes(c, tenant) + size >= quotas.stored_bytes:
        raise QuotaExceeded(
            f"you may have {quotas.stored_bytes:,} bytes stored; delete jobs or data sets first", RETRY_SECONDS
        )


def _published_bytes(c: Connection, tenant: str) -> int:
    published = select(func.sum(artifacts.c.bytes)).join(jobs, jobs.c.id == artifacts.c.job_id)
    return int(c.execute(published.where(jobs.c.tenant == tenant)).scalar() or 0)


def _dataset_bytes(c: Connection, tenant: str) -> int:
    """Of each set what is kept: what was sent until it is read, then what it was packed into."""
    total = 0
    kept = select(datasets.c.upload, datasets.c.packed, datasets.c.status).where(datasets.c.tenant == tenant)
    for upload, packed, status in c.execute(kept):
        waits = status == DatasetStatus.PROCESSING
        total += sum(file["bytes"] for file in packed) + (upload["bytes"] if waits else 0)
    return total


def _in_turn(c: Connection, tenant: str) -> None:
    """Until the end of the transaction nobody else counts for this tenant: SQLite has one writer as it is."""
    if c.dialect.name == "postgresql":
        c.execute(select(func.pg_advisory_xact_lock(func.hashtext(tenant))))
