"""The cost of a scrape of /metrics with 100,000 jobs in the database, while clients poll the same API.

`python -m tests.benchmarks.scrape`, over SQLite and PostgreSQL, with one API process and with two. Prints one line of
JSON: milliseconds of a scrape at the median and at the 95th percentile, alone and under load, and of /livez in turn.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, insert, select

from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.tables import events, jobs, workers
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT, postgresql

JOBS, QUEUED, RUNNING, PAUSED = 100_000, 5_000, 8, 200
WORKERS, PRIORITIES = 12, 10
TENANTS = ("default", *(f"tenant {n}" for n in range(19)))
ENDED = ("succeeded", "succeeded", "succeeded", "failed", "cancelled")
AT_ONCE = 5_000  # rows of one insertion
CLIENTS, PAUSE = 8, 0.1  # seconds between two questions of one client
SCRAPES, SCRAPE_PAUSE = 100, 0.05
QUICK = 2_000  # jobs

Json = dict[str, Any]


def fill(database: Database, count: int, queued: int = QUEUED) -> None:
    """Jobs as they would be after long use: most have ended, some wait, some run, each with its first event."""
    rng, at = random.Random(0), time.time() - 1e6
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}}).filled(1).to_dict()
    statuses = ["queued"] * queued + ["running"] * RUNNING + ["paused"] * PAUSED
    statuses += [rng.choice(ENDED) for _ in range(count - len(statuses))]
    rng.shuffle(statuses)
    held = iter(range(RUNNING))

    def row(number: int, status: str, at: float) -> Json:
        is_running = status == "running"
        return {
            "id": f"job_{number:020x}",
            "tenant": TENANTS[number % len(TENANTS)],
            "spec": spec,
            "dataset": "digits",
            "warnings": [],
            "priority": rng.randrange(PRIORITIES),
            "status": status,
            "attempt": 1,
            "version": 1,
            "turn": number // len(TENANTS),
            "cancel_requested": False,
            "pause_requested": False,
            "checkpoints": [],
            "losses": [],
            "releases": 0,
            "created_at": at,
            "queued_at": at,
            "worker": f"worker {next(held)}" if is_running else None,
            "lease_until": time.time() + 3600 if is_running else None,
            "phase": "training" if is_running else None,
            "stop_reason": "max_epochs" if status == "succeeded" else None,
            "finished_at": at if status in ENDED else None,
        }

    for first in range(0, count, AT_ONCE):
        rows = [row(n, status, at + n) for n, status in enumerate(statuses[first : first + AT_ONCE], first)]
        submissions = [
            {"job_id": row["id"], "seq": 1, "type": "status", "data": {"status": "queued"}, "at": row["created_at"]}
            for row in rows
        ]
        with database.write() as c:
            c.execute(insert(jobs), rows)
            c.execute(insert(events), submissions)
    with database.write() as c:
        c.execute(insert(workers), [{"id": f"worker {n}", "seen_at": time.time() + 3600} for n in range(WORKERS)])
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.exec_driver_sql("ANALYZE" if database.is_local else "VACUUM ANALYZE")  # as autovacuum would by itself


@contextmanager
def api(settings: Settings) -> Iterator[str]:
    """The API as it is run in earnest."""
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "service.wsgi:app"]
    with subprocess.Popen(
        [*LIFELINE, *command],
        cwd=ROOT,
        env=os.environ | settings.to_env() | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        url = f"http://127.0.0.1:{settings.port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/readyz", trust_env=False).is_success
            except httpx.TransportError:
                return False

        try:
            assert eventually(answers, 60), "the API does not answer"
            yield url
        finally:
            process.terminate()


@contextmanager
def polled(url: str, paths: Sequence[str], clients: int, pause: float, answered: list[int]) -> Iterator[None]:
    """Clients that ask for one path after another, with a pause in between, within the block."""
    over = threading.Event()

    def client(number: int) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as session:
            turn = number
            while not over.wait(pause):
                session.get(paths[turn % len(paths)]).raise_for_status()
                answered[number] += 1
                turn += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def scrapes(url: str, count: int) -> dict[str, float]:
    """Milliseconds of scrapes and, in turn, of a request that does nothing."""
    taken: dict[str, list[float]] = {"/metrics": [], "/livez": []}
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as session:
        for _ in range(count):
            for path, times in taken.items():
                started = time.perf_counter()
                answer = session.get(path).raise_for_status()
                times.append(1e3 * (time.perf_counter() - started))
                assert path == "/livez" or "rightfit_database_up 1" in answer.text
            time.sleep(SCRAPE_PAUSE)
    (p50, p95), (idle_p50, idle_p95) = (_shares(times) for times in taken.values())
    return {"p50_ms": p50, "p95_ms": p95, "livez_p50_ms": idle_p50, "livez_p95_ms": idle_p95}


def _shares(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[18]


def measure(url: str, processes: int, home: Path, count: int, scraped: int) -> Json:
    """Of an API over a filled database."""
    settings = replace(
        Settings.from_env({"RIGHTFIT_HOME": str(home)}),
        database_url=url,
        port=free_port(),
        api_processes=processes,
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        dispatch_seconds=600.0,
    )
    ids = [f"/v1/jobs/job_{n:020x}" for n in range(0, count, count // 7)]
    paths = [*ids, *(f"{address}/history" for address in ids), "/v1/jobs?limit=20", "/v1/jobs?status=queued"]
    answered = [0] * CLIENTS
    with api(replace(settings, auth="none")) as address:
        scrapes(address, 3)  # what is made once
        alone = scrapes(address, scraped)
        began = time.perf_counter()
        with polled(address, _known(address, paths), CLIENTS, PAUSE, answered):
            loaded = scrapes(address, scraped)
        rate = sum(answered) / (time.perf_counter() - began)
    return {"alone": alone, "under load": loaded, "requests_per_second": rate, "processes": processes}


def _known(address: str, paths: Sequence[str]) -> list[str]:
    """The paths that answer 200 without a key."""
    return [path for path in paths if httpx.get(address + path, trust_env=False).is_success]


def measure_all(count: int, queued: int, scraped: int) -> Json:
    times: Json = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightfit-scrape-")))
        server = stack.enter_context(postgresql())
        urls = {"sqlite": f"sqlite:///{folder}/scrape.db", "postgresql": stack.enter_context(server.database())}
        for name, url in urls.items():
            database = Database(url)
            database.migrate()
            fill(database, count, queued)
            with database.read() as c:
                assert c.execute(select(func.count()).select_from(jobs)).scalar_one() == count
            database.close()
            for processes in (1, 2):
                key = name if processes == 1 else f"{name}, {processes} processes"
                times[key] = measure(url, processes, folder / "home", count, scraped)
    return {"jobs": count, "queued": queued, "clients": CLIENTS, "pause_seconds": PAUSE, "databases": times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few jobs and few scrapes, to test this program")
    given = parser.parse_args()
    results = measure_all(QUICK, QUICK // 10, 5) if given.quick else measure_all(JOBS, QUEUED, SCRAPES)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
