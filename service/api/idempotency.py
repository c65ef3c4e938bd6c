"""Idempotency keys: a client's own name for a request, stored with a digest of its body."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from service.core.records.submission import IdempotencyKey


def idempotency(key: str | None, body: Any) -> IdempotencyKey | None:
    """The key with the digest of `body`, any JSON; the order of its members does not matter. None without a key."""
    if key is None:
        return None
    return IdempotencyKey(key, hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest())


def submitted(links: Mapping[str, str], is_new: bool) -> dict[str, str]:
    """The headers of the answer to a submission: the address of the new resource, and whether it existed already."""
    return {"Location": links["self"]} | ({} if is_new else {"Idempotency-Replayed": "true"})
