"""Connections to the database, and the two kinds of transaction: `read` and `write`.

Every statement is valid on SQLite and on PostgreSQL. On SQLite a writing transaction begins with BEGIN IMMEDIATE:
a deferred one that reads first fails under load with SQLITE_BUSY, and busy_timeout does not apply to that.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from service.core.errors import DatabaseUnavailable, SettingsError
from service.core.sql import migrate
from service.core.sql.clock import now
from service.core.sql.driver_errors import translated
from service.core.system import private_file, private_folder

WAIT_SECONDS = 0.5  # between two attempts to reach a server that is starting
BUSY_SECONDS = 15  # how long a writer waits for another one on SQLite
MEMORY = ":memory:"  # the name of a database without a file
SQLITE_PRAGMAS = (
    f"busy_timeout = {BUSY_SECONDS * 1000}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
)
# For libpq. The keepalives detect a server that is gone, also in the middle of a statement.
POSTGRESQL_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # A process that is frozen within a transaction must not block the others.
    "options": "-c idle_in_transaction_session_timeout=15000 -c lock_timeout=10000",
}


class Database:
    """Connections to one database. Make one per process: an engine must not cross a fork."""

    def __init__(self, url: str, connections: int = 5) -> None:
        """At most `connections` at once. Raises SettingsError for an address that no database can have."""
        try:
            address = make_url(url)
            options: dict[str, Any] = {}
            if address.get_backend_name() == "postgresql":
                address, options = address.set(drivername="postgresql+psycopg"), POSTGRESQL_OPTIONS
            self.engine: Engine = create_engine(
                address, pool_size=connections, max_overflow=0, pool_pre_ping=True, connect_args=options
            )
        except (ArgumentError, ModuleNotFoundError, ValueError) as error:
            raise SettingsError(f"RIGHTFIT_DATABASE_URL cannot be used: {error}") from error
        self._reading = self.engine
        if self.is_local:
            _prepare_sqlite(self.engine)
        else:
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database. Raises DatabaseError."""
        with translated(), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block and rolls back on an exception. Raises DatabaseError."""
        with translated(), self.engine.connect() as connection, connection.execution_options(writing=True).begin():
            yield connection

    def wait(self, seconds: float) -> None:
        """Return once a server answers. Raises SettingsError if it does not answer within `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.is_local:
            try:
                with self.read():
                    return
            except DatabaseUnavailable as error:
                if time.monotonic() > deadline:
                    raise self._unusable(error) from error
            time.sleep(WAIT_SECONDS)

    def migrate(self, version: str = "head") -> tuple[str | None, str | None]:
        """Bring the schema to a version; returns its revision before and after, None where there are no tables.

        Migrations only add, so a schema that a newer release has made serves this one too, and is left as it is.
        Raises SettingsError where the database cannot be opened, or has the tables of another program.
        """
        try:
            if self.is_local and (file := self.engine.url.database):
                private_folder(Path(file).parent)
            with self.write() as connection:
                return migrate.upgrade(connection, version)
        except migrate.ForeignSchema as error:
            address = redacted(str(self.engine.url))
            raise SettingsError(f"RIGHTFIT_DATABASE_URL {address} has the tables of another program: {error}") from None
        except (OSError, DatabaseUnavailable) as error:
            raise self._unusable(error) from error

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.engine.dialect.name == "sqlite"

    @property
    def is_made(self) -> bool:
        """False for a SQLite file that does not exist yet; True for a server, which alone knows its databases."""
        file = self.engine.url.database
        return not (self.is_local and file) or Path(file).exists()

    def revision(self) -> str | None:
        """The revision of the schema; None where there are no tables."""
        with self.read() as connection:
            return migrate.revision(connection)

    def is_migrated(self) -> bool:
        """Whether the schema is that of this release or of a newer one."""
        with self.read() as connection:
            return migrate.is_current(connection)

    def now(self) -> float:
        """The database's clock, in unix seconds."""
        with self.read() as connection:
            return connection.execute(select(now())).scalar_one()

    def close(self) -> None:
        self.engine.dispose()

    def _unusable(self, error: Exception) -> SettingsError:
        return SettingsError(f"RIGHTFIT_DATABASE_URL {redacted(str(self.engine.url))} cannot be used: {error}")


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "do_connect")
    def make_private(dialect: Any, record: Any, arguments: Any, options: Any) -> None:
        """SQLite gives its -wal and -shm files the mode of the database, and reports a file that cannot be made."""
        file = engine.url.database
        if file and file != MEMORY and not file.startswith("file:"):
            with suppress(OSError):
                private_file(Path(file))

    @event.listens_for(engine, "connect")
    def configure(dbapi: Any, record: Any) -> None:
        dbapi.isolation_level = None  # the driver begins no transaction; `begin` below does
        cursor = dbapi.cursor()
        for pragma in SQLITE_PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def redacted(url: str) -> str:
    """The address without its passwords, for logs and messages."""
    address = make_url(url)
    hidden = {name: "***" for name in address.query if "password" in name}
    return address.update_query_dict(hidden).render_as_string(hide_password=True)
