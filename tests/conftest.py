"""Real parts for all tests: a Redis server, a migrated database, and the whole stack as `rightfit serve` starts it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import make_url

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.system import private_folder
from service.stack.standalone import broker_binary
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, POSTGRESQL, ROOT, S3_BUCKET, SQLITE, Postgresql, postgresql, s3

# Machines are shared: no test may fail for being slow.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")

# Each process of pytest-xdist has one core: a second thread would only wait. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
THREADS = {"RIGHTFIT_THREADS": "1"}  # the same for the trainers that tests start

START_SECONDS = 200  # torch is imported from a cold disk
STOP_SECONDS = 90  # more than the stack itself waits for its parts before it kills them
END_SECONDS = 120  # for a process that ends by itself
LONGEST_FIRST = ("chaos", "life", "stack", "workers")  # folders whose files take longest
LONGEST_ID = 100  # characters
TESTS = ROOT / "tests"
SHARED_STACK = "serving"  # a fixture, and the group of the tests that use it


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in its own hook, which would run before this one
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, so that no process works on one alone at the end, and keep what shares fixtures together.

    pytest-xdist gives one group after the other to the next free process. A group is a file, but all tests of the
    shared stack are one group, so that the stack is started once.
    """

    def rank(item: pytest.Item) -> int:
        folders = item.path.relative_to(TESTS).parts
        return next((n for n, name in enumerate(LONGEST_FIRST) if name in folders), len(LONGEST_FIRST))

    items.sort(key=rank)
    for item in items:
        uses_stack = SHARED_STACK in getattr(item, "fixturenames", ())
        group = SHARED_STACK if uses_stack else str(item.path.relative_to(TESTS))
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes and long texts after their argument.

    Archives hold the time at which they were made, and all processes of pytest-xdist must collect the same names.
    """
    is_unreadable = isinstance(val, bytes) or (isinstance(val, str) and len(val) > LONGEST_ID)
    return argname if is_unreadable else None


class Redis:
    """A Redis server that a test may stop and start again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        options = {"--port": str(self.port), "--bind": "127.0.0.1", "--save": "", "--dir": str(self._folder)}
        command = [*LIFELINE, broker_binary(), *(word for option in options.items() for word in option)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        assert eventually(self.answers), "the Redis server did not start"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    with postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[None]:
    """Set the environment variables that lead to the test bucket, for this process and its children."""
    with s3() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def settings(tmp_path: Path, redis_server: Redis) -> Settings:
    return local_settings(tmp_path, redis_server)


def local_settings(folder: Path, redis_server: Redis) -> Settings:
    """SQLite and a storage in the folder, the given Redis, and trainers of one thread."""
    own = {"RIGHTFIT_HOME": str(folder / "home"), "RIGHTFIT_REDIS_URL": redis_server.url}
    return Settings.from_env(own | THREADS)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def everywhere(request: pytest.FixtureRequest, tmp_path: Path, redis_server: Redis) -> Iterator[Settings]:
    """Settings of each pair of database and storage; a module that makes its `settings` of them runs over both."""
    local = local_settings(tmp_path, redis_server)
    if request.param == SQLITE:
        yield local
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    request.getfixturevalue("s3_environment")
    with server.database() as url:
        yield replace(local, database_url=url, storage_url=f"s3://{S3_BUCKET}/{uuid4().hex}")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database at the newest schema, without rows; tests take copies of it."""
    path = tmp_path_factory.mktemp("migrated") / "rightfit.db"
    with closing(Database(f"sqlite:///{path}")) as database:
        database.migrate()
    return path


@pytest.fixture
def migrated(settings: Settings, migrated_file: Path) -> Settings:
    """The settings, and their database is at the newest schema."""
    address = make_url(settings.database_url)
    if address.get_backend_name() == "sqlite":
        assert address.database is not None
        private_folder(Path(address.database).parent)
        shutil.copy(migrated_file, address.database)
    return settings  # the servers copy a migrated PostgreSQL database


@pytest.fixture
def database(migrated: Settings) -> Iterator[Database]:
    with closing(Database(migrated.database_url)) as database:
        yield database


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


class Serving:
    """`rightfit serve` as a child process with its own home. It ends with the block, also after a failure."""

    def __init__(self, home: Path, *options: str, **env: str) -> None:
        self.home = home
        variables = {"RIGHTFIT_HOME": str(home), "RIGHTFIT_PORT": str(free_port())} | THREADS | env
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTFIT_")}
        clean["PYTHONFAULTHANDLER"] = "1"
        self.url = f"http://127.0.0.1:{variables['RIGHTFIT_PORT']}"
        self._seen: set[psutil.Process] = set()
        self.process = subprocess.Popen(
            [*LIFELINE, sys.executable, "-m", "service.cli", "serve", *options],
            cwd=ROOT,
            env=clean | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self._output = self.process.stdout

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            left = [process.name() for process in self.descendants()]
            self.process.send_signal(signal.SIGABRT)  # Python prints where it hangs
            pytest.fail(f"the stack did not stop; it left {left}\n{self.ended()[1]}")
        finally:
            self._output.close()

    def wait_until_ready(self) -> None:
        with httpx.Client(trust_env=False) as client:  # one for all tries: making a client costs much CPU time

            def ready() -> bool:
                assert self.process.poll() is None, self._output.read()
                try:
                    return bool(client.get(f"{self.url}/readyz").json()["workers"] >= 1)
                except httpx.TransportError:
                    return False

            assert eventually(ready, START_SECONDS), "the stack did not start"

    def ended(self, seconds: float = END_SECONDS) -> tuple[int, str]:
        """Wait for the end of the process; returns its exit status and its output."""
        return self.process.wait(seconds), self._output.read()

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def descendants(self) -> list[psutil.Process]:
        """All live processes that the stack has started, also once the stack itself has ended."""
        if self.process.poll() is None:
            self._seen.update(psutil.Process(self.process.pid).children(recursive=True))
        return [process for process in self._seen if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One stack for all tests that leave it as it is."""
    with Serving(tmp_path_factory.mktemp("stack") / "home") as stack:
        stack.wait_until_ready()
        yield stack
