"""The cost of each action in SQL: `python -m tests.benchmarks.statements`, over SQLite and PostgreSQL.

Prints one line of JSON:

- for each call, its statements and transactions, which are exact, and its median milliseconds;
- for a running worker and a running API process, the statements a second, idle and while a job trains;
- for PostgreSQL and Redis, the calls a second of a few threads that do nothing else.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine, event

from service.app import create_app
from service.core.actions.dispatcher import Dispatcher
from service.core.broker.hints import HintQueue
from service.core.records.epoch import Epoch
from service.core.records.job import Checkpoint, Outcome, Phase, Status, StopReason
from service.core.records.job_log import LogLine
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import Artifact
from service.services import Services
from tests.benchmarks.machine import processor
from tests.conftest import Redis
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT, Postgresql, postgresql

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 100_000, "early_stopping": None, "batch_size": 256}
REPEATS = 31
THREADS = 4  # that call PostgreSQL at the same time
WATCHED, SETTLED = 30.0, 5.0  # seconds that running processes are measured, and seconds before that
PING = "SELECT 1"  # tests a connection
LOGGED = re.compile(r"(?:statement|execute [^:]*): (.*)")


class Counter:
    """Counts the statements and the transactions of an engine of SQLite, which reports what it executes."""

    def __init__(self, engine: Engine) -> None:
        self.statements = self.transactions = 0
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(self._statement))
        event.listen(engine, "commit", self._transaction)
        event.listen(engine, "rollback", self._transaction)

    def _statement(self, text: str) -> None:
        self.statements += text != PING and not text.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"))

    def _transaction(self, *given: Any) -> None:
        self.transactions += 1


def calls(services: Services, client: FlaskClient) -> Iterator[tuple[str, Callable[[], object]]]:
    """The name of each action, with a function that performs it and can be repeated."""
    store, settings = services.store, services.settings

    def submit() -> Any:
        return client.post("/v1/jobs", json=SPEC).json

    def claimed() -> Lease:
        lease = store.leases.claim("bench", 3600)
        assert lease is not None
        return lease

    yield "POST a job", submit
    job = submit()["id"]
    for _ in range(3 * REPEATS):
        submit()
    yield "claim", claimed
    lease = claimed()
    ending = iter([claimed() for _ in range(REPEATS + 1)])
    numbers = iter(range(1, 1_000_000))
    epochs = iter(range(1, 1_000_000))
    measured = Epoch(1, 1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 1e-3, 0.1, 10.0, False, 1)
    model = Artifact("best_model.pth", "jobs/x/a1/best_model.pth", 3, "abc", "application/octet-stream")

    def epoch() -> None:
        store.leases.append(lease, [replace(measured, epoch=next(epochs))])

    yield "an epoch", epoch
    yield "a checkpoint", lambda: store.leases.record_checkpoint(lease, checkpoint(next(numbers)))
    yield "a line of the log", lambda: store.leases.write_log(lease, [LogLine(1.0, "info", "a line")])
    yield "begin a phase", lambda: store.leases.set_phase(lease, Phase.TRAINING)
    yield "renew a lease", lambda: store.leases.renew(lease, 3600)
    yield "read the control request", lambda: store.leases.control_request(lease)
    yield "finish", lambda: store.leases.finish(next(ending), Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS), [model])
    yield "poll: GET a job", lambda: client.get(f"/v1/jobs/{lease.job_id}")
    yield "GET new epochs", lambda: client.get(f"/v1/jobs/{lease.job_id}/history?after_epoch=20")
    yield "list 20 jobs", lambda: client.get("/v1/jobs?limit=20")
    yield "a worker's heartbeat", lambda: services.registry.heartbeat("bench", 600)
    dispatcher = Dispatcher(settings, store, services.registry, services.submission.queue)
    yield "a dispatcher's turn", lambda: (dispatcher.reap(), dispatcher.dispatch())
    yield "send due webhook messages", services.webhook_sender.send_due
    yield "claim a data set", lambda: services.catalog.claim("bench", 60)
    assert job


def checkpoint(number: int) -> Checkpoint:
    file = Artifact("last.pt", f"jobs/x/a1/checkpoints/{number}/last.pt", 3, "abc", "application/octet-stream")
    return Checkpoint(file, None, number, None)


def counted(settings: Settings) -> dict[str, dict[str, float]]:
    app = create_app(settings)
    services: Services = app.extensions["rightfit"]
    services.database.migrate()
    counter, client, costs = Counter(services.database.engine), app.test_client(), {}
    for name, call in calls(services, client):
        call()  # set-up that happens once is not counted
        before, milliseconds = (counter.statements, counter.transactions), []
        for _ in range(REPEATS):
            started = time.perf_counter()
            call()
            milliseconds.append(1e3 * (time.perf_counter() - started))
        costs[name] = {
            "statements": round((counter.statements - before[0]) / REPEATS, 2),
            "transactions": round((counter.transactions - before[1]) / REPEATS, 2),
            "ms": round(statistics.median(milliseconds), 2),
        }
    services.database.close()
    return costs


@contextmanager
def process(settings: Settings, *command: str) -> Iterator[None]:
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "log").open("ab") as log:
        started = subprocess.Popen(
            [*LIFELINE, sys.executable, "-m", *command],
            cwd=ROOT,
            env=os.environ | settings.to_env(),
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        started.terminate()
        started.wait(60)


def watched(server: Postgresql, seconds: float) -> dict[str, float]:
    """Statements, transactions and probes of connections a second, counted in PostgreSQL's log."""
    log = server.log
    began, started = log.stat().st_size, time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - started
    with log.open("rb") as file:
        file.seek(began)
        logged = [words.strip() for words in LOGGED.findall(file.read().decode(errors="replace"))]
    transactions = sum(words.startswith(("COMMIT", "ROLLBACK")) for words in logged)
    probes = logged.count(";")
    statements = sum(not words.startswith(("BEGIN", "COMMIT", "ROLLBACK", ";")) for words in logged)
    rates = {"statements": statements, "transactions": transactions, "probes": probes}
    return {name: round(count / passed, 2) for name, count in rates.items()}


def running(server: Postgresql, settings: Settings, seconds: float) -> dict[str, Any]:
    """The statements a second of an API process, of an idle worker and of one that trains."""
    database = Database(settings.database_url)
    database.migrate()
    rates: dict[str, Any] = {}
    api = replace(settings, home=settings.home / "api", port=free_port())
    with server.talkative():
        with process(api, "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.wsgi:app"):
            time.sleep(SETTLED)
            rates["an API process, idle"] = watched(server, seconds)
        with process(replace(settings, home=settings.home / "worker"), "workers"):
            assert eventually(lambda: bool(WorkerRegistry(database).live_workers(60)), 200)
            time.sleep(SETTLED)
            rates["a worker, idle"] = watched(server, seconds)
            app = create_app(settings)
            store: Store = app.extensions["rightfit"].store
            job = app.test_client().post("/v1/jobs", json=SPEC).get_json()["id"]
            assert eventually(lambda: store.queries.get("default", job).last is not None, 60)
            before = store.queries.get("default", job).progress.epoch
            rates["a worker that trains"] = watched(server, seconds)
            epochs = store.queries.get("default", job).progress.epoch - before
            rates["its epochs"] = round(epochs / seconds, 2)
            store.actions.cancel("default", job)
            app.extensions["rightfit"].database.close()
    database.close()
    return rates


def calls_a_second(url: str, seconds: float) -> dict[str, float]:
    """Single calls a second to PostgreSQL, by THREADS threads of one process together."""
    database = Database(url, connections=THREADS)
    database.migrate()
    store, rates = Store(database), {}
    spec_app = create_app(
        Settings.from_env({"RIGHTFIT_DATABASE_URL": url, "RIGHTFIT_REDIS_URL": "redis://127.0.0.1:1"})
    )
    for _ in range(THREADS):
        spec_app.test_client().post("/v1/jobs", json=SPEC)
    leases = [store.leases.claim(f"bench {n}", 3600) for n in range(THREADS)]
    spec_app.extensions["rightfit"].database.close()

    def rate(call: Callable[[Any], object]) -> float:
        done, over = [0] * THREADS, time.monotonic() + seconds

        def call_repeatedly(number: int) -> None:
            while time.monotonic() < over:
                call(leases[number])
                done[number] += 1

        threads = [threading.Thread(target=call_repeatedly, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return round(sum(done) / seconds)

    rates["renewals a second (one write)"] = rate(lambda lease: store.leases.renew(lease, 3600))
    rates["control requests read a second (one read)"] = rate(store.leases.control_request)
    database.close()
    return rates


def hinted(redis_url: str) -> float:
    """Hints a second that one thread sends."""
    queue, started, sent = HintQueue(redis_url), time.perf_counter(), 2_000
    for number in range(sent):
        queue.send(f"job_{number}")
    return round(sent / (time.perf_counter() - started))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=WATCHED)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightfit-statements-")))
        server, redis = stack.enter_context(postgresql()), Redis(folder)
        stack.callback(redis.stop)
        env = {"RIGHTFIT_HOME": str(folder / "home"), "RIGHTFIT_REDIS_URL": redis.url, "RIGHTFIT_THREADS": "1"}
        local = Settings.from_env(env)
        remote = [
            replace(local, database_url=stack.enter_context(server.database()), storage_url=str(folder / "storage"))
            for _ in range(3)
        ]

        def apart(settings: Settings) -> Settings:
            """Settings with another Redis database, so that no worker gets hints of these jobs."""
            return replace(settings, redis_url=redis.url.replace("/0", "/1"))

        results = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "device": processor(),
            "load": round(os.getloadavg()[0], 1),
            "sqlite": counted(apart(local)),
            "postgresql": counted(apart(remote[0])),
            "running": running(server, remote[1], given.seconds),
            "pressed": calls_a_second(remote[2].database_url, min(given.seconds, 5)),
            "hints a second": hinted(redis.url.replace("/0", "/9")),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
