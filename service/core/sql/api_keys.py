"""API keys identify the tenant of a request and its scopes. Only the SHA-256 of a key is stored."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import RowMapping, insert, or_, select, update

from service.core.errors import NotFound, Unauthorized
from service.core.sql.clock import now
from service.core.sql.engine import Database
from service.core.sql.tables import keys

PREFIX = "rf"
ID_BYTES, SECRET_BYTES = 6, 32
SEEN_EVERY = 60.0  # seconds between two writes of the time of a key's last use
KEY = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_[A-Za-z0-9_-]{{43}}")
CSRF_PURPOSE = b"rightfit csrf token"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Scope(StrEnum):
    """What a key permits."""

    READ = "read"  # read the tenant's resources, download, predict
    WRITE = "write"  # submit, upload, change, delete
    ADMIN = "admin"  # both, and settings of the whole tenant


@dataclass(frozen=True)
class Identity:
    """The sender of a request: the tenant whose data it may use, the scopes, and the id of the key."""

    tenant: str
    scopes: frozenset[Scope]
    key_id: str = ""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True)
class ApiKey:
    """A key as stored. Times are unix seconds."""

    id: str
    tenant: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None


class ApiKeys:
    """The keys of all tenants."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, tenant: str, scopes: Sequence[Scope], name: str = "", lifetime: float | None = None) -> str:
        """Make a key for a tenant, valid for `lifetime` seconds (None: for ever). It cannot be read again."""
        key_id = secrets.token_hex(ID_BYTES)
        key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        expires_at = None if lifetime is None else now() + lifetime
        with self._db.write() as c:
            times = {"created_at": now(), "expires_at": expires_at}
            stored = {"name": name, "digest": _digest(key), "scopes": [str(scope) for scope in scopes]}
            c.execute(insert(keys).values(id=key_id, tenant=tenant, **stored, **times))
        return key

    def identify(self, key: str) -> Identity:
        """The sender that the key belongs to. Raises Unauthorized for a key that is unknown, expired or revoked."""
        match = KEY.fullmatch(key)
        valid = (keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now()))
        stale = or_(keys.c.used_at.is_(None), keys.c.used_at < now() - SEEN_EVERY).label("stale")
        with self._db.read() as c:
            query = select(keys, stale).where(keys.c.id == (match[1] if match else ""), *valid)
            row = c.execute(query).mappings().one_or_none()
        if row is None or not hmac.compare_digest(row["digest"], _digest(key)):
            raise Unauthorized("the API key is unknown, has expired or was revoked")
        if row["stale"]:
            with self._db.write() as c:
                c.execute(update(keys).where(keys.c.id == row["id"]).values(used_at=now()))
        return Identity(row["tenant"], frozenset(Scope(word) for word in row["scopes"]), row["id"])

    def list(self, tenant: str | None = None) -> tuple[ApiKey, ...]:
        """All keys, or those of a tenant, in the order in which they were made."""
        query = select(keys).order_by(keys.c.created_at, keys.c.id)
        with self._db.read() as c:
            rows = c.execute(query.where(keys.c.tenant == tenant) if tenant else query).mappings()
            return tuple(_key(row) for row in rows)

    def revoke(self, key_id: str) -> None:
        """Make a key invalid. Raises NotFound if there is no valid key with this id."""
        with self._db.write() as c:
            revoked = update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=now())
            if c.execute(revoked).rowcount == 0:
                raise NotFound(f"there is no valid key {key_id!r}")


def csrf_token(key: str) -> str:
    """The token that a page sends with each change; it can be computed only with the key of the session."""
    return hmac.new(_digest(key).encode(), CSRF_PURPOSE, hashlib.sha256).hexdigest()


def _digest(key: str) -> str:
    """A plain hash is enough: a key has 256 random bits and cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        scopes=tuple(Scope(word) for word in row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        used_at=row["used_at"],
    )
