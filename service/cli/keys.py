"""`keys`: API keys, straight in the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from service.cli import words
from service.cli.session import Session, json_option
from service.core.errors import SettingsError
from service.core.settings import Settings

if TYPE_CHECKING:
    from service.core.sql.api_keys import ApiKey, ApiKeys

DAY = 86_400.0  # seconds
SCOPES = ("read", "write", "admin")


@click.group()
def keys() -> None:
    """API keys, for RIGHTFIT_AUTH=keys. They are kept in the database that the settings name."""


@keys.command()
@click.argument("tenant")
@click.option("--name", default="", help="for people: whose it is, what for")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=["read", "write"],
    help="may be repeated; read and write unless said otherwise",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="until it expires; never unless said")
@json_option
@click.pass_obj
def create(session: Session, tenant: str, name: str, scopes: tuple[str, ...], days: float | None) -> None:
    """Make a key for TENANT and print it, this once."""
    from service.core.sql.api_keys import TENANT, Scope  # noqa: PLC0415 - see service/cli/__init__.py

    if not TENANT.fullmatch(tenant):
        raise click.BadParameter(
            "up to 63 letters, digits and . _ - only, a letter or digit first", param_hint="TENANT"
        )
    with _keys() as found:
        key = found.create(tenant, [Scope(scope) for scope in scopes], name, days and days * DAY)
    session.answer({"key": key}, lambda: key)


@keys.command(name="list")
@click.argument("tenant", required=False)
@json_option
@click.pass_obj
def list_keys(session: Session, tenant: str | None) -> None:
    """Show all keys, or those of TENANT."""
    table = words.listing("id", "tenant", "name", "scopes", "made", "last used", "ends")
    with _keys() as found:
        listed = found.list(tenant)
    for key in listed:
        end = "revoked" if key.revoked_at else _day(key.expires_at) or "never"
        seen = _day(key.used_at) or "never"
        table.add_row(key.id, key.tenant, key.name, " ".join(key.scopes), _day(key.created_at), seen, end)
    session.answer({"data": [_document(key) for key in listed]}, lambda: table)


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
@click.pass_obj
def revoke(session: Session, key_id: str) -> None:
    """Refuse a key from now on. ID is its middle part, as `list` shows it."""
    with _keys() as found:
        found.revoke(key_id)
        (key,) = (key for key in found.list() if key.id == key_id)
    said = f"revoked {key.id} of {key.tenant} {key.name}".rstrip()
    session.answer(_document(key), lambda: said)


@contextmanager
def _keys() -> "Iterator[ApiKeys]":
    from service.core.sql.api_keys import ApiKeys  # noqa: PLC0415 - likewise
    from service.core.sql.engine import Database  # noqa: PLC0415 - see service/cli/__init__.py

    settings = Settings.from_env()
    database = Database(settings.database_url)
    if not database.is_made:
        raise SettingsError(
            f"there is no database {settings.database_url}; `rightfit serve` makes it. RIGHTFIT_HOME names the home, "
            f"now {settings.home}, and RIGHTFIT_DATABASE_URL a database elsewhere"
        )
    try:
        database.migrate()
        yield ApiKeys(database)
    finally:
        database.close()


def _document(key: "ApiKey") -> dict[str, Any]:
    from service.schemas.answer_fields import format_time  # noqa: PLC0415 - see service/cli/__init__.py

    times = {name: value and format_time(value) for name, value in asdict(key).items() if name.endswith("_at")}
    return asdict(key) | times


def _day(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else ""
