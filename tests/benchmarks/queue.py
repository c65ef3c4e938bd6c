"""Does the queue stay as fast when it is long? `python -m tests.benchmarks.queue`, over SQLite and PostgreSQL.

Medians of single calls to the store with a given number of jobs queued, of several tenants and priorities.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from service.core.records.submission import NewJob
from service.core.spec import JobSpec
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from tests.servers import postgresql

SIZES = (100, 1_000, 10_000)
TENANTS, PRIORITIES = 7, 3
REPEATS = 51


def fill(store: Store, spec: JobSpec, first: int, count: int) -> None:
    for number in range(first, count):
        store.actions.submit(f"tenant {number % TENANTS}", NewJob(spec_of(spec, number)))


def spec_of(spec: JobSpec, number: int) -> JobSpec:
    return JobSpec.from_dict(spec.to_dict() | {"priority": 4 + number % PRIORITIES})


def milliseconds(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return 1e3 * statistics.median(seconds)


def measure(store: Store, spec: JobSpec) -> dict[str, float]:
    """Milliseconds of each call. The queue is as long afterwards as before."""
    last = store.queries.list("tenant 0", 1).items[0].id

    def claim() -> None:
        lease = store.leases.claim("worker", 60)
        assert lease is not None
        leases.append(lease)

    leases = []  # type: ignore[var-annotated]
    medians = {
        "submit": milliseconds(lambda: store.actions.submit("tenant 0", NewJob(spec))),
        "position of the last": milliseconds(lambda: store.queries.get("tenant 0", last)),
        "list of 20": milliseconds(lambda: store.queries.list("tenant 0", 20)),
        "hints due": milliseconds(lambda: store.hints.due_hints(8, 60)),
        "claim": milliseconds(claim),
    }
    for lease in leases:
        store.leases.release(lease, is_leaving=True)
    return medians


def flatness(url: str, sizes: tuple[int, ...]) -> list[dict[str, float]]:
    database = Database(url)
    database.migrate()
    store, spec, rows, there = Store(database), JobSpec.from_dict({"dataset": {"id": "digits"}}).filled(1), [], 0
    for size in sizes:
        fill(store, spec, there, size)
        there = size
        rows.append({"jobs": size} | measure(store, spec))
    database.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightfit-queue-")))
        server = stack.enter_context(postgresql())
        urls = {"sqlite": f"sqlite:///{folder}/queue.db", "postgresql": stack.enter_context(server.database())}
        print(json.dumps({name: flatness(url, tuple(given.sizes)) for name, url in urls.items()}))


if __name__ == "__main__":
    main()
