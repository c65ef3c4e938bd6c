"""The statements about webhook messages, and about the secrets that sign them.

A message is inserted in the transaction of the change that it reports, so no message is lost and none reports a change
that did not happen. It is sent at least once: receivers recognize a repeated one by its id.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from service.core.records.webhook_message import Delivery, Message, body, new_secret
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.tables import deliveries, webhook_secrets
from service.core.text import DAY

# Seconds to the next attempt. After the attempt that follows the last one, a message is given up.
DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, DAY)
LEASE_SECONDS = 60.0  # for which no other process sends a message that is being sent
OVERLAP_SECONDS = DAY  # for which messages are signed with the former secret too


@dataclass(frozen=True)
class Busy:
    """The tenants and the receivers of which a process sends as many messages now as it may."""

    tenants: frozenset[str] = frozenset()
    receivers: frozenset[str] = frozenset()


IDLE = Busy()


def announce(c: Connection, row: RowMapping, kind: str, data: Mapping[str, Any]) -> None:
    """Insert the message of a job's event, within its transaction, if the job's webhook is for such events."""
    webhook = row["spec"].get("webhook")
    word = data["status"] if kind == "status" else kind
    if not webhook or word not in webhook["events"]:
        return
    job = {"job_id": row["id"], "name": row["spec"]["name"], "labels": row["spec"]["labels"]}
    _insert(c, row["tenant"], webhook["url"], f"job.{word}", {**job, **data}, {"job_id": row["id"]})


def announce_end(c: Connection, row: RowMapping) -> None:
    """Insert the message of the end of a fit, within its transaction, if the fit's webhook is for such an end."""
    webhook, status = row["webhook"], row["status"]
    if not webhook or status not in webhook["events"]:
        return
    result = {name: (row["result"] or {}).get(name) for name in ("best", "gain", "test", "error")}
    data = {"fit_id": row["id"], "name": row["name"], "labels": row["labels"], "status": status, **result}
    _insert(c, row["tenant"], webhook["url"], f"fit.{status}", data, {"fit_id": row["id"]})


def _insert(
    c: Connection, tenant: str, url: str, kind: str, data: Mapping[str, Any], subject: Mapping[str, str]
) -> None:
    """`subject` is the column with the id of what the message is about."""
    values = {
        "id": f"msg_{secrets.token_hex(12)}",
        "tenant": tenant,
        "url": url,
        "type": kind,
        "body": body(kind, data),
        "status": "pending",
        "attempts": 0,
        "created_at": now(),
        "due_at": now(),
        **subject,
    }
    c.execute(insert(deliveries).values(values))


class Webhooks:
    """The messages and secrets of all tenants."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def secret(self, tenant: str) -> str:
        """The secret with which a tenant's receivers check signatures."""
        return self.signing_secrets(tenant)[0]

    def change_secret(self, tenant: str) -> str:
        """Make a new secret. For OVERLAP_SECONDS messages are signed with the former one too."""
        self.secret(tenant)
        changed = {"secret": new_secret(), "former": webhook_secrets.c.secret, "changed_at": now()}
        with self._db.write() as c:
            c.execute(update(webhook_secrets).where(webhook_secrets.c.tenant == tenant).values(changed))
        return self.secret(tenant)

    def signing_secrets(self, tenant: str) -> tuple[str, ...]:
        """The secrets to sign with now, the present one first. The first call for a tenant makes one."""
        with self._db.read() as c:
            known = _secrets(c, tenant)
        if known:
            return known
        with suppress(IntegrityError), self._db.write() as c:  # a concurrent request may be faster
            c.execute(insert(webhook_secrets).values(tenant=tenant, secret=new_secret(), changed_at=now()))
        with self._db.read() as c:
            return _secrets(c, tenant)

    def claim(self, busy: Busy = IDLE) -> Message | None:
        """The message that has been due longest, but none of `busy`; leased to the caller. None if none is due."""
        is_due = and_(deliveries.c.status == "pending", deliveries.c.due_at <= now())
        due = and_(is_due, deliveries.c.tenant.not_in(busy.tenants), deliveries.c.url.not_in(busy.receivers))
        with self._db.read() as c:  # a read needs no writer's lock, and mostly finds nothing
            if c.execute(select(deliveries.c.id).where(due).limit(1)).first() is None:
                return None
        first = select(deliveries.c.id).where(due).order_by(deliveries.c.due_at).limit(1)
        first_id = first.with_for_update(skip_locked=True).scalar_subquery()
        values = {"due_at": now() + LEASE_SECONDS, "attempts": deliveries.c.attempts + 1}
        with self._db.write() as c:
            taken = update(deliveries).where(deliveries.c.id == first_id, due).values(values).returning(deliveries)
            row = c.execute(taken).mappings().one_or_none()
        if row is None:
            return None
        secrets_ = self.signing_secrets(row["tenant"])
        return Message(row["id"], row["url"], row["body"], row["attempts"], secrets_, row["tenant"])

    def delivered(self, message: Message) -> None:
        self._settle(message, {"status": "delivered", "delivered_at": now(), "error": None})

    def failed(self, message: Message, error: str, jitter: float, *, for_good: bool = False) -> None:
        """Try again after the next delay times `jitter`; give up after the last attempt, or if it failed `for_good`."""
        if for_good or message.attempts > len(DELAYS):
            self._settle(message, {"status": "given_up", "error": error})
        else:
            self._settle(message, {"due_at": now() + DELAYS[message.attempts - 1] * jitter, "error": error})

    def of_job(self, job_id: str) -> tuple[Delivery, ...]:
        """A job's messages, the oldest first."""
        return self._about(deliveries.c.job_id == job_id)

    def of_fit(self, fit_id: str) -> tuple[Delivery, ...]:
        """The messages about a fit, the oldest first."""
        return self._about(deliveries.c.fit_id == fit_id)

    def _about(self, subject: ColumnElement[bool]) -> tuple[Delivery, ...]:
        query = select(*(deliveries.c[column.name] for column in fields(Delivery)))
        with self._db.read() as c:
            rows = c.execute(query.where(subject).order_by(deliveries.c.created_at)).mappings()
            return tuple(Delivery(**row) for row in rows)

    def _settle(self, message: Message, values: Mapping[str, Any]) -> None:
        """Changes nothing if another process has claimed the message since: this one took longer than the lease."""
        ours = and_(
            deliveries.c.id == message.id, deliveries.c.attempts == message.attempts, deliveries.c.status == "pending"
        )
        with self._db.write() as c:
            c.execute(update(deliveries).where(ours).values(**values))


def _secrets(c: Connection, tenant: str) -> tuple[str, ...]:
    overlaps = (now() - webhook_secrets.c.changed_at < OVERLAP_SECONDS).label("overlaps")
    row = (
        c.execute(select(webhook_secrets, overlaps).where(webhook_secrets.c.tenant == tenant)).mappings().one_or_none()
    )
    if row is None:
        return ()
    return (row["secret"], row["former"]) if row["former"] and row["overlaps"] else (row["secret"],)
