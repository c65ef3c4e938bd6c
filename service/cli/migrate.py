"""`migrate`: brings the database schema to this release, before its workers and its API start."""

import click

from service.cli.session import Session, json_option


@click.command()
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Longest wait for a database that is starting, in seconds.",
)
@json_option
@click.pass_obj
def migrate(session: Session, seconds: float) -> None:
    """Bring the schema of the database in the settings to this release.

    It is safe to repeat, and to run from several places at once. Older workers and APIs keep working: a migration adds
    tables, columns and indexes, and removes no table and no column.
    """
    from service.core.settings import Settings  # noqa: PLC0415 - likewise
    from service.core.sql.engine import Database, redacted  # noqa: PLC0415 - see service/cli/__init__.py

    database = Database(Settings.from_env().database_url)
    try:
        database.wait(seconds)
        before, after = database.migrate()
    finally:
        database.close()
    shown = redacted(str(database.engine.url))
    done = f"is at {after} already" if before == after else f"was brought from {before or 'nothing'} to {after}"
    session.answer({"database": shown, "from": before, "to": after}, lambda: f"{shown} {done}")
