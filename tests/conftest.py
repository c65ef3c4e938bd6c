"""Real parts for all tests: a Redis-speaking server, a migrated database, and the whole stack as a person starts it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from hypothesis import settings as hypothesis_settings

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.stack.standalone import broker_binary
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, POSTGRESQL, ROOT, S3_BUCKET, SQLITE, Postgresql, postgresql, s3

# Machines are shared: no test may fail for being slow.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # torch is not loaded yet: its threads share the cores with others

START_SECONDS = 200  # torch is imported from a cold disk
STOP_SECONDS = 90  # more than the stack itself waits for its parts before it kills them


class Redis:
    """A server of our own, which a test may stop and start again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        command = [
            broker_binary(),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen([*LIFELINE, *command], cwd=ROOT, stdout=subprocess.DEVNULL)
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
    """This process, and what it starts from then on, finds the test bucket."""
    with s3() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def settings(tmp_path: Path, redis_server: Redis) -> Settings:
    return Settings.from_env({"RIGHTFIT_HOME": str(tmp_path / "home"), "RIGHTFIT_REDIS_URL": redis_server.url})


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def everywhere(request: pytest.FixtureRequest, tmp_path: Path, redis_server: Redis) -> Iterator[Settings]:
    """For a module to make its `settings` of: its tests run over both databases and both storages."""
    local = Settings.from_env({"RIGHTFIT_HOME": str(tmp_path / "home"), "RIGHTFIT_REDIS_URL": redis_server.url})
    if request.param == SQLITE:
        yield local
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    request.getfixturevalue("s3_environment")
    with server.database() as url:
        yield replace(local, database_url=url, storage_url=f"s3://{S3_BUCKET}/{uuid4().hex}")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


class Serving:
    """`rightfit serve` as a child process, in a home of its own. Leaving its block ends it, however it went."""

    def __init__(self, home: Path, *options: str, **env: str) -> None:
        self.home = home
        variables = {"RIGHTFIT_HOME": str(home), "RIGHTFIT_PORT": str(free_port())} | env
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
            self.process.send_signal(signal.SIGABRT)  # Python writes down where it hangs
            pytest.fail(f"the stack did not stop; left are {left}\n{self.ended()[1]}")
        finally:
            self._output.close()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self._output.read()
            try:
                return bool(httpx.get(f"{self.url}/readyz").json()["workers"] >= 1)
            except httpx.TransportError:
                return False

        assert eventually(ready, START_SECONDS), "the stack did not start"

    def ended(self, seconds: float = 60) -> tuple[int, str]:
        """Wait for its end; returns the exit status and all that was printed."""
        return self.process.wait(seconds), self._output.read()

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def descendants(self) -> list[psutil.Process]:
        """Every process that the stack has started and that still runs, also once the stack itself is gone."""
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
    """One stack for all tests that only use it."""
    with Serving(tmp_path_factory.mktemp("stack") / "home") as stack:
        stack.wait_until_ready()
        yield stack
