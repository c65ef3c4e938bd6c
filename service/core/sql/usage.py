"""The usage of a tenant, counted against its quotas."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, func, literal, select

from service.core.errors import QuotaExceeded
from service.core.records.dataset import DatasetStatus
from service.core.records.job import Status
from service.core.records.quotas import UNLIMITED, Quotas
from service.core.sql.tables import artifacts, datasets, deliveries, jobs, weights

RETRY_SECONDS = 30  # for the client to wait before it tries again


def refuse_another_job(c: Connection, tenant: str, quotas: Quotas, count: int = 1) -> None:
    """Raise QuotaExceeded if `count` more jobs would exceed the quota of waiting jobs, or the storage is full."""
    if quotas.queued_jobs is not None:
        _in_turn(c, tenant)
        waiting = select(literal(1)).where(jobs.c.tenant == tenant, jobs.c.status.in_([Status.QUEUED, Status.PAUSED]))
        counted = c.execute(select(func.count()).select_from(waiting.limit(quotas.queued_jobs).subquery())).scalar_one()
        if counted >= quotas.queued_jobs:
            raise QuotaExceeded(
                f"{counted} jobs are waiting; allowed: {quotas.queued_jobs}. Wait, or cancel some", RETRY_SECONDS
            )
        if counted + count > quotas.queued_jobs:
            detail = f"{counted} jobs are waiting, and {count} more would join them; allowed: {quotas.queued_jobs}"
            raise QuotaExceeded(detail, RETRY_SECONDS)
    _refuse_more_stored(c, tenant, quotas, 0)


def refuse_more_messages(c: Connection, tenant: str, quotas: Quotas) -> None:
    """Raise QuotaExceeded if the tenant's receivers have left too many messages undelivered."""
    if quotas.webhook_messages is None:
        return
    pending = select(literal(1)).where(deliveries.c.status == "pending", deliveries.c.tenant == tenant)
    limited = pending.limit(quotas.webhook_messages).subquery()
    if c.execute(select(func.count()).select_from(limited)).scalar_one() >= quotas.webhook_messages:
        detail = (
            f"{quotas.webhook_messages:,} messages to your webhooks are not delivered; allowed: "
            f"{quotas.webhook_messages:,}. Let the receivers answer, or submit jobs without a webhook"
        )
        raise QuotaExceeded(detail, RETRY_SECONDS)


def refuse_another_dataset(c: Connection, tenant: str, quotas: Quotas) -> None:
    """Raise QuotaExceeded if the tenant has as many data sets as it may."""
    if quotas.datasets is None:
        return
    own = select(func.count()).where(datasets.c.tenant == tenant, datasets.c.status != DatasetStatus.DELETING)
    if c.execute(own).scalar_one() >= quotas.datasets:
        detail = f"you have {quotas.datasets:,} data sets; allowed: {quotas.datasets:,}. Delete some first"
        raise QuotaExceeded(detail, RETRY_SECONDS)


def refuse_more_data(c: Connection, tenant: str, quotas: Quotas, size: int) -> None:
    """Raise QuotaExceeded if another data set of `size` bytes would exceed the quotas of data sets or of storage."""
    if quotas != UNLIMITED:
        _in_turn(c, tenant)
    refuse_another_dataset(c, tenant, quotas)
    if quotas.dataset_bytes is not None and _dataset_bytes(c, tenant) + size > quotas.dataset_bytes:
        raise QuotaExceeded(
            f"your data sets may have {quotas.dataset_bytes:,} bytes together; delete some first", RETRY_SECONDS
        )
    _refuse_more_stored(c, tenant, quotas, size)


def room(c: Connection, tenant: str, quotas: Quotas) -> int | None:
    """The bytes that a tenant may still store in data sets; None: no limit."""
    left = []
    if quotas.dataset_bytes is not None:
        left.append(quotas.dataset_bytes - _dataset_bytes(c, tenant))
    if quotas.stored_bytes is not None:
        left.append(quotas.stored_bytes - _stored_bytes(c, tenant))
    return max(0, min(left)) if left else None


def refuse_more_weights(c: Connection, tenant: str, quotas: Quotas, size: int) -> None:
    """Raise QuotaExceeded if another file of `size` bytes would exceed the quotas of weights or of storage."""
    if quotas != UNLIMITED:
        _in_turn(c, tenant)
    if quotas.weights is not None:
        own = select(func.count()).where(weights.c.tenant == tenant, weights.c.hidden_at.is_(None))
        if c.execute(own).scalar_one() >= quotas.weights:
            detail = f"you have {quotas.weights:,} files of weights; allowed: {quotas.weights:,}. Delete some first"
            raise QuotaExceeded(detail, RETRY_SECONDS)
    _refuse_more_stored(c, tenant, quotas, size)


def weights_room(c: Connection, tenant: str, quotas: Quotas) -> int | None:
    """The bytes that a tenant may still store in weights; None: no limit. Raises QuotaExceeded if it has too many."""
    refuse_more_weights(c, tenant, quotas, 0)
    return None if quotas.stored_bytes is None else max(0, quotas.stored_bytes - _stored_bytes(c, tenant))


def tenants_that_may_run(quotas: Quotas) -> Iterator[ColumnElement[bool]]:
    """The condition on a job that its tenant may run another one; none without a quota."""
    if quotas.running_jobs is not None:
        busy = select(jobs.c.tenant).where(jobs.c.status == Status.RUNNING).group_by(jobs.c.tenant)
        yield jobs.c.tenant.not_in(busy.having(func.count() >= quotas.running_jobs))


def _refuse_more_stored(c: Connection, tenant: str, quotas: Quotas, size: int) -> None:
    if quotas.stored_bytes is None:
        return
    if _stored_bytes(c, tenant) + size >= quotas.stored_bytes:
        raise QuotaExceeded(
            f"you may have {quotas.stored_bytes:,} bytes stored; delete jobs, data sets or weights first", RETRY_SECONDS
        )


def _stored_bytes(c: Connection, tenant: str) -> int:
    return _published_bytes(c, tenant) + _dataset_bytes(c, tenant) + _weights_bytes(c, tenant)


def _weights_bytes(c: Connection, tenant: str) -> int:
    query = select(weights.c.stored).where(weights.c.tenant == tenant)
    return sum(stored["bytes"] for stored in c.execute(query).scalars())


def _published_bytes(c: Connection, tenant: str) -> int:
    published = select(func.sum(artifacts.c.bytes)).join(jobs, jobs.c.id == artifacts.c.job_id)
    return int(c.execute(published.where(jobs.c.tenant == tenant)).scalar() or 0)


def _dataset_bytes(c: Connection, tenant: str) -> int:
    """Of a set that is not read yet, its upload counts; then the files that it was packed into."""
    total = 0
    query = select(datasets.c.upload, datasets.c.packed, datasets.c.status).where(datasets.c.tenant == tenant)
    for upload, packed, status in c.execute(query):
        is_unread = status == DatasetStatus.PROCESSING
        total += sum(file["bytes"] for file in packed) + (upload["bytes"] if is_unread else 0)
    return total


def _in_turn(c: Connection, tenant: str) -> None:
    """Wait until no other transaction counts for this tenant. SQLite has only one writer at a time anyway."""
    if c.dialect.name == "postgresql":
        c.execute(select(func.pg_advisory_xact_lock(func.hashtext(tenant))))
