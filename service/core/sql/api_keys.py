"""API keys: who a request comes from and what it may do. Only the SHA-256 of a key is stored."""

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
SEEN_EVERY = 60.0  # seconds between two records of a key's use
KEY = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_[A-Za-z0-9_-]{{43}}")
CSRF_PURPOSE = b"rightfit csrf token"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Scope(StrEnum):
    """What a key may be used for."""

    READ = "read"  # look at everything of the tenant's, download, predict
    WRITE = "write"  # submit, send, change, delete
    ADMIN = "admin"  # both, and what concerns the tenant as a whole


@dataclass(frozen=True)
class Identity:
    """Who is asking: the tenant whose data the request may touch, and the key that proves it."""

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
    """Every SQL statement about keys."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, tenant: str, scopes: Sequence[Scope], name: str = "", lifetime: float | None = None) -> str:
        """A new key for a tenant, valid for so many seconds; the only time that it is told."""
        key_id = secrets.token_hex(ID_BYTES)
        key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        expires_at = None if lifetime is None else now() + lifetime
        with self._db.write() as c:
            c.execute(
                insert(keys).values(
                    id=key_id, tenant=tenant, name=name, digest=_digest(key), scopes=[str(scope) for scope in scopes],
                    created_at=now(), expires_at=expires_at,
                )
            )  # fmt: skip
        return key

    def identify(self, key: str) -> Identity:
        """Whose key this is. Raises Unauthorized for one that is unknown, expired or revoked."""
        found = KEY.fullmatch(key)
        valid = (keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now()))
        stale = or_(keys.c.used_at.is_(None), keys.c.used_at < now() - SEEN_EVERY).label("stale")
        with self._db.read() as c:
            wanted = select(keys, stale).where(keys.c.id == (found[1] if found else ""), *valid)
            row = c.execute(wanted).mappings().one_or_none()
        if row is None or not hmac.compare_digest(row["digest"], _digest(key)):
            raise Unauthorized("the API key is unknown, has expired or was revoked")
        if row["stale"]:
            with self._db.write() as c:
                c.execute(update(keys).where(keys.c.id == row["id"]).values(used_at=now()))
        return Identity(row["tenant"], frozenset(Scope(word) for word in row["scopes"]), row["id"])

    def list(self, tenant: str | None = None) -> tuple[ApiKey, ...]:
        """All keys, or a tenant's, in the order in which they were made."""
        wanted = select(keys).order_by(keys.c.created_at, keys.c.id)
        with self._db.read() as c:
            rows = c.execute(wanted.where(keys.c.tenant == tenant) if tenant else wanted).mappings()
            return tuple(_key(row) for row in rows)

    def revoke(self, key_id: str) -> None:
        """The key is refused from now on. Raises NotFound."""
        with self._db.write() as c:
            revoked = update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=now())
            if c.execute(revoked).rowcount == 0:
                raise NotFound(f"there is no valid key {key_id!r}")


def csrf_token(key: str) -> str:
    """What a page that a key was shown for sends along with what it changes; nobody can make it without the key."""
    return hmac.new(_digest(key).encode(), CSRF_PURPOSE, hashlib.sha256).hexdigest()


def _digest(key: str) -> str:
    """A key has 256 random bits, so that a plain hash is as good as a slow one."""
    return hashlib.sha256(key.encode()).hexdigest()


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        row["id"], row["tenant"], row["name"], tuple(Scope(word) for word in row["scopes"]), row["created_at"],
        row["expires_at"], row["revoked_at"], row["used_at"],
    )  # fmt: skip
