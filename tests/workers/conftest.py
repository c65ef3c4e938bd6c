"""A fork server for all tests of the workers, a bench over it, and a whole worker."""

from collections.abc import Iterator

import pytest

from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from tests.workers.bench import Bench, ForkServer
from workers.supervisor import forkserver
from workers.worker import Worker


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with pytest.MonkeyPatch.context() as patch:  # no weights are downloaded in a test, whatever network there is
        for name in ("http_proxy", "https_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")
        context, info = forkserver.start()
    yield context, info
    forkserver.stop(info)


@pytest.fixture
def bench(settings: Settings, store: Store, fork_server: ForkServer) -> Bench:
    return Bench(settings, store, fork_server)


@pytest.fixture
def worker(
    settings: Settings, database: Database, fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Worker]:
    """A real worker over the fork server of all tests, which it does not stop."""
    monkeypatch.setattr(forkserver, "start", lambda: fork_server)
    monkeypatch.setattr(forkserver, "stop", lambda info: None)
    worker = Worker(settings)
    yield worker
    worker.close()
