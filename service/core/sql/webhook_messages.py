"""Webhooks, after the Standard Webhooks specification (https://www.standardwebhooks.com, version 1.0.0).

A message is written in the transaction of the change that it tells of, so that none is lost and none tells of what did
not happen. It is sent at least once: receivers tell repeated ones by their id.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.tables import deliveries, webhook_secrets

SECRET_PREFIX, SECRET_BYTES = "whsec_", 32
# Seconds to the next attempt; after the last one a message is given up.
DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
LEASE_SECONDS = 60.0  # a message that is being sent is not sent by anyone else for so long
OVERLAP_SECONDS = 86_400.0  # how long messages are signed with the former secret too


@dataclass(frozen=True)
class Message:
    """One message that is due. `attempts` counts this one too; `secrets` are those to sign with."""

    id: str
    url: str
    body: str
    attempts: int
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Delivery:
    """What became of a message. Times are unix seconds; `status` is pending, delivered or given_up."""

    id: str
    type: str
    url: str
    status: str
    attempts: int
    error: str | None
    created_at: float
    due_at: float
    delivered_at: float | None


def announce(c: Connection, row: RowMapping, kind: str, data: Mapping[str, Any]) -> None:
    """Write the message of a job's event, within its transaction, where the job's webhook asks for such."""
    wanted = row["spec"].get("webhook")
    word = data["status"] if kind == "status" else kind
    if not wanted or word not in wanted["events"]:
        return
    told = {"job_id": row["id"], "name": row["spec"]["name"], "labels": row["spec"]["labels"], **data}
    kind = f"job.{word}"
    c.execute(
        insert(deliveries).values(
            id=f"msg_{secrets.token_hex(12)}", tenant=row["tenant"], job_id=row["id"], url=wanted["url"], type=kind,
            body=body(kind, told), status="pending", attempts=0, created_at=now(), due_at=now(),
        )
    )  # fmt: skip


def body(kind: str, data: Mapping[str, Any]) -> str:
    """A message as it is sent and signed."""
    return json.dumps({"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": data}, default=str)


def signature(secret: str, message_id: str, timestamp: int, text: str) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.{text}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class Webhooks:
    """Every SQL statement about messages and the secrets that sign them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def secret(self, tenant: str) -> str:
        """What a tenant's receivers check signatures with."""
        return self.signing_secrets(tenant)[0]

    def change_secret(self, tenant: str) -> str:
        """A new secret; for a day messages are signed with the former one too."""
        self.secret(tenant)
        changed = {"secret": _new_secret(), "former": webhook_secrets.c.secret, "changed_at": now()}
        with self._db.write() as c:
            c.execute(update(webhook_secrets).where(webhook_secrets.c.tenant == tenant).values(changed))
        return self.secret(tenant)

    def signing_secrets(self, tenant: str) -> tuple[str, ...]:
        """Those to sign with now, the present one first; made when they are first asked for."""
        with self._db.read() as c:
            known = _secrets(c, tenant)
        if known:
            return known
        with suppress(IntegrityError), self._db.write() as c:  # another request may be faster
            c.execute(insert(webhook_secrets).values(tenant=tenant, secret=_new_secret(), changed_at=now()))
        with self._db.read() as c:
            return _secrets(c, tenant)

    def claim(self) -> Message | None:
        """The message that has been due longest, which nobody else will send meanwhile; None where none is due."""
        due = and_(deliveries.c.status == "pending", deliveries.c.due_at <= now())
        with self._db.read() as c:  # so that nobody waits for a writer's lock only to find nothing
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
        return Message(row["id"], row["url"], row["body"], row["attempts"], self.signing_secrets(row["tenant"]))

    def delivered(self, message: Message) -> None:
        self._settle(message, {"status": "delivered", "delivered_at": now(), "error": None})

    def failed(self, message: Message, error: str, jitter: float, *, for_good: bool = False) -> None:
        """Try again later, by a delay times `jitter`; give up after the last attempt, or where it is `for_good`."""
        if for_good or message.attempts > len(DELAYS):
            self._settle(message, {"status": "given_up", "error": error})
        else:
            self._settle(message, {"due_at": now() + DELAYS[message.attempts - 1] * jitter, "error": error})

    def of_job(self, job_id: str) -> tuple[Delivery, ...]:
        """A job's messages, the oldest first."""
        wanted = select(*(deliveries.c[field.name] for field in fields(Delivery)))
        with self._db.read() as c:
            rows = c.execute(wanted.where(deliveries.c.job_id == job_id).order_by(deliveries.c.created_at)).mappings()
            return tuple(Delivery(**row) for row in rows)

    def _settle(self, message: Message, values: Mapping[str, Any]) -> None:
        """Whoever took so long that another process has sent the message too changes nothing."""
        ours = and_(
            deliveries.c.id == message.id, deliveries.c.attempts == message.attempts, deliveries.c.status == "pending"
        )
        with self._db.write() as c:
            c.execute(update(deliveries).where(ours).values(**values))


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _secrets(c: Connection, tenant: str) -> tuple[str, ...]:
    overlaps = (now() - webhook_secrets.c.changed_at < OVERLAP_SECONDS).label("overlaps")
    row = (
        c.execute(select(webhook_secrets, overlaps).where(webhook_secrets.c.tenant == tenant)).mappings().one_or_none()
    )
    if row is None:
        return ()
    return (row["secret"], row["former"]) if row["former"] and row["overlaps"] else (row["secret"],)
