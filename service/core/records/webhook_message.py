"""Webhook messages, after the Standard Webhooks specification (https://www.standardwebhooks.com, version 1.0.0)."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SECRET_PREFIX, SECRET_BYTES = "whsec_", 32


@dataclass(frozen=True)
class Message:
    """A message of a tenant to send now. `attempts` counts this one too; `secrets` are those to sign with."""

    id: str
    url: str
    body: str
    attempts: int
    secrets: tuple[str, ...]
    tenant: str


@dataclass(frozen=True)
class Delivery:
    """The state of a message. Times are unix seconds; `status` is pending, delivered or given_up."""

    id: str
    type: str
    url: str
    status: str
    attempts: int
    error: str | None
    created_at: float
    due_at: float
    delivered_at: float | None


def new_secret() -> str:
    """A secret to sign with: `whsec_` and the base64 of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def body(kind: str, data: Mapping[str, Any]) -> str:
    """A message as it is sent and signed."""
    return json.dumps({"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": data}, default=str)
