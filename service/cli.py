"""The command `rightfit`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from service import demo as demonstration
from service import standalone
from service.core.database import Database
from service.core.errors import RightfitError
from service.core.keys import TENANT, Keys, Scope
from service.core.settings import Settings

DAY = 86_400.0  # seconds


@click.group()
def main() -> None:
    """Training as a service for image classifiers."""


@main.command()
def serve() -> None:
    """Run the stack on this machine until Ctrl-C.

    Settings are environment variables: RIGHTFIT_PORT, RIGHTFIT_HOST, RIGHTFIT_HOME and others.
    """
    try:
        sys.exit(standalone.serve(Settings.from_env()))
    except RightfitError as error:
        raise click.ClickException(str(error)) from error


@main.command()
def demo() -> None:
    """Train two models on a stack of its own, show their curves, verify what was downloaded."""
    try:
        sys.exit(demonstration.run(Console()))
    except RightfitError as error:
        raise click.ClickException(str(error)) from error


@main.group()
def keys() -> None:
    """API keys, for RIGHTFIT_AUTH=keys. They are kept in the database that the settings name."""


@keys.command()
@click.argument("tenant")
@click.option("--name", default="", help="for people: whose it is, what for")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    default=["read", "write"],
    help="may be repeated; read and write unless said otherwise",
)
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="until it expires; never unless said")
def create(tenant: str, name: str, scopes: tuple[str, ...], days: float | None) -> None:
    """Make a key for TENANT and print it, this once."""
    if not TENANT.fullmatch(tenant):
        raise click.BadParameter(
            "up to 63 letters, digits and . _ - only, a letter or digit first", param_hint="TENANT"
        )
    with _keys() as found:
        click.echo(found.create(tenant, [Scope(scope) for scope in scopes], name, days and days * DAY))


@keys.command(name="list")
@click.argument("tenant", required=False)
def list_keys(tenant: str | None) -> None:
    """Show all keys, or those of TENANT."""
    table = Table("id", "tenant", "name", "scopes", "made", "last used", "ends")
    with _keys() as found:
        for key in found.list(tenant):
            end = "revoked" if key.revoked_at else _day(key.expires_at) or "never"
            table.add_row(
                key.id,
                key.tenant,
                key.name,
                " ".join(key.scopes),
                _day(key.created_at),
                _day(key.used_at) or "never",
                end,
            )
    Console().print(table)


@keys.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Refuse a key from now on. ID is its middle part, as `list` shows it."""
    with _keys() as found:
        found.revoke(key_id)


@contextmanager
def _keys() -> Iterator[Keys]:
    try:
        database = Database(Settings.from_env().database_url)
        database.migrate()
        try:
            yield Keys(database)
        finally:
            database.close()
    except RightfitError as error:
        raise click.ClickException(str(error)) from error


def _day(seconds: float | None) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" if seconds else ""


if __name__ == "__main__":
    main()
