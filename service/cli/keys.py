"""`keys`: manages API keys in the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from service.cli.format import list_table
from service.cli.session import Session, json_option
from service.core.errors import SettingsError
from service.core.settings import Settings
from service.core.text import DAY, control_character

if TYPE_CHECKING:
    from service.core.sql.api_keys import ApiKey, ApiKeys

SCOPES = ("read", "write", "admin")


@click.group()
def keys() -> None:
    """Manage API keys, for RIGHTFIT_AUTH=keys. They are in the database of the settings."""


@keys.command()
@click.argument("tenant")
@click.option("--name", default="", help="A description: owner, purpose.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=["read", "write"],
    help="Repeatable. Default: read and write.",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Days until it expires. Default: never.")
@json_option
@click.pass_obj
def create(session: Session, tenant: str, name: str, scopes: tuple[str, ...], days: float | None) -> None:
    """Create a key for TENANT and print it. It cannot be printed again."""
    from service.core.sql.api_keys import TENANT, Scope  # noqa: PLC0415 - see service/cli/__init__.py

    if not TENANT.fullmatch(tenant):
        allowed = "1 to 63 letters, digits and . _ -, the first a letter or digit"
        raise click.BadParameter(f"must be {allowed}", param_hint="TENANT")
    if control_character(name):
        allowed = "text without control characters and controls of the text direction"
        raise click.BadParameter(f"must be {allowed}", param_hint="--name")
    with _open_keys() as store:
        key = store.create(tenant, [Scope(scope) for scope in scopes], name, days and days * DAY)
    session.answer({"key": key}, lambda: key)


@keys.command(name="list")
@click.argument("tenant", required=False)
@json_option
@click.pass_obj
def list_keys(session: Session, tenant: str | None) -> None:
    """List all keys, or those of TENANT."""
    table = list_table("id", "tenant", "name", "scopes", "created", "last used", "expires")
    with _open_keys() as store:
        listed = store.list(tenant)
    for key in listed:
        end = "revoked" if key.revoked_at else _format_time(key.expires_at) or "never"
        used = _format_time(key.used_at) or "never"
        table.add_row(key.id, key.tenant, key.name, " ".join(key.scopes), _format_time(key.created_at), used, end)
    session.answer({"data": [_document(key) for key in listed]}, lambda: table)


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
@click.pass_obj
def revoke(session: Session, key_id: str) -> None:
    """Revoke a key. ID is its middle part, as `list` shows it."""
    with _open_keys() as store:
        store.revoke(key_id)
        (key,) = (key for key in store.list() if key.id == key_id)
    text = f"revoked {key.id} of {key.tenant} {key.name}".rstrip()
    session.answer(_document(key), lambda: text)


@contextmanager
def _open_keys() -> "Iterator[ApiKeys]":
    from service.core.sql.api_keys import ApiKeys  # noqa: PLC0415 - likewise
    from service.core.sql.engine import Database  # noqa: PLC0415 - see service/cli/__init__.py

    settings = Settings.from_env()
    database = Database(settings.database_url)
    if not database.is_made:
        others = "set RIGHTFIT_HOME for another, or RIGHTFIT_DATABASE_URL for another database"
        raise SettingsError(
            f"the database {settings.database_url} does not exist; `rightfit serve` creates it. "
            f"The home is {settings.home}: {others}"
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


def _format_time(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else ""
