"""The signature of a webhook message (Standard Webhooks 1.0.0)."""

import base64
import hashlib
import hmac

from service.core.records.webhook_message import SECRET_PREFIX


def signature(secret: str, message_id: str, timestamp: int, text: str) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{message_id}.{timestamp}.{text}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
