"""The engine, the tables, and the two kinds of transaction: `read` and `write`.

Every statement is valid on SQLite and on PostgreSQL. On SQLite a writing transaction begins with BEGIN IMMEDIATE:
a deferred one that reads first fails under load with SQLITE_BUSY, which no busy_timeout waits for.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.core.errors import SettingsError

MIGRATIONS = Path(__file__).parent / "migrations"
WAIT_SECONDS = 0.5  # between two looks at whether a server has started
BUSY_SECONDS = 15  # how long a writer waits for another on SQLite before it gives up
# libpq: a server that has gone without a word is noticed, also in the middle of a statement.
POSTGRESQL_OPTIONS = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # A process that is frozen within a transaction must not hold up the others.
    "options": "-c idle_in_transaction_session_timeout=15000 -c lock_timeout=10000",
}  # fmt: skip
MIGRATION_LOCK = 7_418_001  # any number, of PostgreSQL's advisory locks: two processes that start migrate in turn

metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself on SQLite

jobs = Table(
    "jobs",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),  # age: the order of arrival
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("dataset", Text, nullable=False),  # the id in the spec
    Column("warnings", JSON(none_as_null=True), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("device", Text, nullable=False, server_default="auto"),  # of the spec, as are the GPUs
    Column("gpus", Integer, nullable=False, server_default="1"),
    Column("memory_bytes", BigInteger),  # that each of its processes takes, by the plan; NULL: nobody has counted
    Column("traceparent", Text),  # of the request that it came with (W3C Trace Context)
    Column("status", Text, nullable=False),
    Column("phase", Text),
    Column("stop_reason", Text),
    Column("error", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False),  # the fencing token
    Column("version", Integer, nullable=False),  # the number of the job's last event
    Column("worker", Text),
    Column("lease_until", Float(53)),
    Column("hinted_at", Float(53)),
    Column("queued_at", Float(53)),  # since when it waits, or last did; NULL: an older release does not say
    Column("turn", Integer, nullable=False),  # fair share: a tenant's jobs of one priority take different turns
    Column("not_before", Float(53)),  # put back, it waits until then
    Column("cancel_requested", Boolean, nullable=False),
    Column("pause_requested", Boolean, nullable=False),
    Column("checkpoints", JSON(none_as_null=True), nullable=False),  # newest first
    Column("losses", JSON(none_as_null=True), nullable=False),
    Column("releases", Integer, nullable=False),  # put back by a worker that was told to stop
    Column("facts", JSON(none_as_null=True)),  # what the worker found out that no epoch tells
    Column("waste", JSON(none_as_null=True)),  # what was spent after the best epoch, once the job has ended
    Column("split", Text),  # jobs with the same one are validated on the same images
    Column("test_split", Text),  # and those with the same one here tested
    Column("parent", Text),  # the job that this one was forked from; it may be deleted since
    Column("patch", JSON(none_as_null=True)),  # what was changed of the parent's spec
    Column("advice", Text),  # the id of the advice that the patch came from
    Column("ablation", Text),
    Column("arm", Text),  # of the ablation
    Column("last_epoch", Integer),
    Column("best_epoch", Integer),
    Column("created_at", Float(53), nullable=False),
    Column("started_at", Float(53)),
    Column("finished_at", Float(53)),
    Index("jobs_of_tenant", "tenant", "seq"),
    Index("jobs_of_tenant_by_status", "tenant", "status", "seq"),
    Index("jobs_by_lease", "status", "lease_until"),
    Index("turns_of_tenant", "status", "priority", "tenant", "turn"),
    Index("jobs_of_dataset", "dataset", "status"),
    Index("jobs_of_split", "tenant", "split", "seq"),
    Index("jobs_of_test_split", "tenant", "test_split", "seq"),
    Index("jobs_of_parent", "parent"),
    Index("jobs_of_ablation", "ablation", "seq"),
)
IS_QUEUED = text("status = 'queued'")  # word for word, or no planner sees that the index holds all it needs
Index(
    "jobs_waiting", jobs.c.status, jobs.c.priority, jobs.c.queued_at, jobs.c.created_at,
    sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED,
)  # fmt: skip
# With all that a claim asks for, so that jobs which are passed over cost a look into the index alone.
Index(
    "jobs_in_order", jobs.c.status, jobs.c.priority.desc(), jobs.c.turn, jobs.c.seq,
    jobs.c.not_before, jobs.c.device, jobs.c.gpus, jobs.c.memory_bytes, jobs.c.tenant, jobs.c.id,
)  # fmt: skip

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # SHA-256 of the request
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Index("idempotency_by_job", "job_id"),
)


def _of_job() -> Column[Any]:
    return Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


labels = Table(
    "job_labels",
    metadata,
    _of_job(),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("labels_by_value", "key", "value"),
)

epochs = Table(
    "epochs",
    metadata,
    _of_job(),
    Column("epoch", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("train_loss", Float(53)),
    Column("train_loss_clean", Float(53)),
    Column("val_loss", Float(53)),
    Column("train_accuracy", Float(53)),
    Column("val_accuracy", Float(53)),
    Column("penalty", Float(53)),
    Column("lr", Float(53), nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("images_per_second", Float(53), nullable=False),
    Column("improved", Boolean, nullable=False),
    Column("epochs_without_improvement", Integer, nullable=False),
    Column("flag", Text),
    Column("val_loss_se", Float(53)),
    Column("val_change_se", Float(53)),
    Column("joules", Float(53)),
)

events = Table(
    "events",
    metadata,
    _of_job(),
    Column("seq", Integer, primary_key=True),  # the job's version after the change it tells of
    Column("type", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", Float(53), nullable=False),
    Index("events_by_type", "job_id", "type", "seq"),
)

log_lines = Table(
    "log_lines",
    metadata,
    _of_job(),
    Column("id", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("level", Text, nullable=False),
    Column("message", Text, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _of_job(),
    Column("name", Text, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("media_type", Text, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("upload", JSON(none_as_null=True), nullable=False),  # the artifact that holds it as it was sent
    Column("contents", JSON(none_as_null=True)),
    Column("packed", JSON(none_as_null=True), nullable=False),  # the artifacts that hold it as it is trained on
    Column("error", JSON(none_as_null=True)),
    Column("attempt", Integer, nullable=False),  # the fencing token
    Column("worker", Text),
    Column("lease_until", Float(53)),
    Column("created_at", Float(53), nullable=False),
    Column("used_at", Float(53)),  # when it was read, or the last of the jobs on it had ended that are deleted since
    Index("datasets_of_tenant", "tenant", "seq"),
    Index("datasets_by_status", "status", "seq"),
)

ablations = Table(
    "ablations",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("spec", JSON, nullable=False),  # of its base
    Column("arms", JSON, nullable=False),  # each with its name and its patch of the base
    Column("seeds", JSON, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Index("ablations_of_tenant", "tenant", "seq"),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("former", Text),
    Column("changed_at", Float(53), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),  # as it is signed
    Column("status", Text, nullable=False),  # pending, delivered, given_up
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", Float(53), nullable=False),
    Column("due_at", Float(53), nullable=False),
    Column("delivered_at", Float(53)),
    Index("deliveries_due", "status", "due_at"),
    Index("deliveries_of_job", "job_id", "created_at"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of the whole key
    Column("scopes", JSON(none_as_null=True), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53)),
    Column("revoked_at", Float(53)),
    Column("used_at", Float(53)),
    Index("keys_of_tenant", "tenant"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seen_at", Float(53), nullable=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("gpu_memory_bytes", BigInteger, nullable=False, server_default="0"),  # of its smallest GPU
    Column("threads", Integer, nullable=False, server_default="1"),
    Column("memory_bytes", BigInteger),  # of the machine or its container; NULL: an older worker, which does not say
    Column("version", Text),
    Index("workers_seen", "seen_at"),
)

installation = Table(
    "installation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("id", Text, nullable=False),
)


class now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """The database's own clock, in unix seconds, so that no worker's clock decides over a lease."""

    type = Float(53)
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: Any, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: Any, **kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


class Database:
    """Connections to one database. Make one per process: an engine must not cross a fork."""

    def __init__(self, url: str, connections: int = 5) -> None:
        """At most `connections` at once. Raises SettingsError for an address that cannot be a database."""
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
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)
        else:
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block and rolls back on an exception."""
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    def wait(self, seconds: float) -> None:
        """Return once a server answers. Raises SettingsError where it has not within so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.is_local:
            try:
                with self.read():
                    return
            except OperationalError as error:
                if time.monotonic() > deadline:
                    address = redacted(str(self.engine.url))
                    raise SettingsError(f"RIGHTFIT_DATABASE_URL {address} cannot be used: {error}") from error
            time.sleep(WAIT_SECONDS)

    def migrate(self, version: str = "head") -> tuple[str | None, str | None]:
        """Bring the schema to a version; returns its revision before and after, None where there are no tables.

        Migrations only add, so a schema that a newer release has made serves this one too, and is left as it is.
        Raises SettingsError where the database cannot be opened, or is another program's.
        """
        try:
            if self.engine.dialect.name == "sqlite" and (file := self.engine.url.database):
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            with self.write() as connection:
                if self.engine.dialect.name == "postgresql":
                    connection.execute(text("SET LOCAL lock_timeout = 0"))  # another's migration may take long
                    connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                    connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
                before = _revision(connection)
                if before is None or before in self._revisions():
                    config = self._alembic()
                    config.attributes["connection"] = connection
                    command.upgrade(config, version)
                elif not _is_ours(connection):
                    address = redacted(str(self.engine.url))
                    raise SettingsError(f"RIGHTFIT_DATABASE_URL {address} has the tables of another program: {before}")
                return before, _revision(connection)
        except (OSError, OperationalError) as error:
            address = redacted(str(self.engine.url))
            raise SettingsError(f"RIGHTFIT_DATABASE_URL {address} cannot be used: {error}") from error

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.engine.dialect.name == "sqlite"

    @property
    def is_made(self) -> bool:
        """False of a file that is still to be made; whether a server has the database, only the server knows."""
        file = self.engine.url.database
        return not (self.is_local and file) or Path(file).exists()

    def revision(self) -> str | None:
        """That of the schema; None where there are no tables."""
        with self.read() as connection:
            return _revision(connection)

    def is_migrated(self) -> bool:
        """Whether the schema is at least the one this code was written for: a revision that it does not know is that
        of a newer release, which has only added to it.
        """
        known = self._revisions()
        with self.read() as connection:
            found = _revision(connection)
            return found == known[0] or (found is not None and found not in known and _is_ours(connection))

    def now(self) -> float:
        """The database's clock, in unix seconds."""
        with self.read() as connection:
            return connection.execute(select(now())).scalar_one()

    def close(self) -> None:
        self.engine.dispose()

    @classmethod
    def _revisions(cls) -> tuple[str, ...]:
        """All that this code knows, the newest first."""
        return tuple(script.revision for script in ScriptDirectory.from_config(cls._alembic()).walk_revisions())

    @staticmethod
    def _alembic() -> Config:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_ours(connection: Connection) -> bool:
    """Whether it has the tables of the first release, which every later one has too."""
    return {"jobs", "epochs", "artifacts"} <= set(inspect(connection).get_table_names())


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(dbapi: Any, record: Any) -> None:
        dbapi.isolation_level = None  # the driver begins nothing by itself; `begin` below does
        cursor = dbapi.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON",
        ):  # fmt: skip
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
