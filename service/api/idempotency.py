"""A client's own name for a request, with what it was sent for."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from service.core.records.submission import IdempotencyKey


def idempotency(key: str | None, sent: Any) -> IdempotencyKey | None:
    """The key of a request with the digest of `sent`, any JSON, in whatever order its members came."""
    if key is None:
        return None
    return IdempotencyKey(key, hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest())


def submitted(links: Mapping[str, str], is_new: bool) -> dict[str, str]:
    """The headers of an answer to a submission: where what it made is, and whether an earlier request had made it."""
    return {"Location": links["self"]} | ({} if is_new else {"Idempotency-Replayed": "true"})
