"""The revision of the schema, and its migrations by Alembic. Each function works within the caller's transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select, text

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 7_418_001  # key of the advisory lock that makes processes of PostgreSQL migrate one after another
FIRST_TABLES = {"jobs", "epochs", "artifacts"}  # of the first release; every later one has them too


class ForeignSchema(Exception):
    """The tables belong to another program; the message is their revision."""


def upgrade(connection: Connection, version: str) -> tuple[str | None, str | None]:
    """Bring the schema to a version; returns its revision before and after. Raises ForeignSchema.

    A schema of a newer release is left as it is.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))  # another process's migration may take long
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    before = revision(connection)
    if before is None or before in known_revisions():
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    elif not _is_ours(connection):
        raise ForeignSchema(before)
    return before, revision(connection)


def revision(connection: Connection) -> str | None:
    """The revision of the schema; None where there are no tables."""
    return MigrationContext.configure(connection).get_current_revision()


def is_current(connection: Connection) -> bool:
    """Whether the schema is that of this release or of a newer one, which has only added to it.

    A revision that this release does not know is one of a newer release.
    """
    known, present = known_revisions(), revision(connection)
    return present == known[0] or (present is not None and present not in known and _is_ours(connection))


def known_revisions() -> tuple[str, ...]:
    """The revisions that this release knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions())


def _is_ours(connection: Connection) -> bool:
    return set(inspect(connection).get_table_names()) >= FIRST_TABLES


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config
