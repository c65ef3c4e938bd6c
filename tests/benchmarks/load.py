"""Fifty clients that poll while jobs train, beside the same gunicorn serving an empty route, in turn.

`python -m tests.benchmarks.load`. Prints one line of JSON: requests per second, milliseconds at the median and at the
99th percentile, milliseconds of CPU, and errors, of the empty route and of polling a job and its history.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

import httpx
import psutil

from service.core.settings import Settings
from service.stack.standalone import Stack
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT

CLIENTS, SECONDS, ROUNDS = 50, 5.0, 3
JOBS = 3  # that train, one after another, while the clients poll
SPEC = {"dataset": {"id": "digits"}, "epochs": 100_000, "early_stopping": None}


def empty_route(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The least that a WSGI app can answer."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]


@dataclass
class Measured:
    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of the server

    def summary(self) -> dict[str, float]:
        cuts = statistics.quantiles(self.milliseconds, n=100)
        rate = len(self.milliseconds) / self.seconds
        return {
            "requests_per_second": rate,
            "p50_ms": cuts[49],
            "p99_ms": cuts[98],
            "errors": len(self.errors),
            "cpu_ms": 1e3 * self.cpu_seconds / len(self.milliseconds),
        }


def poll(server: psutil.Process, port: int, paths: Sequence[str], clients: int, seconds: float, into: Measured) -> None:
    """Each client asks for one path after another on a connection of its own, as fast as it is answered.

    It sends the ETag of the last answer to each path, if there was one, as caches and Rightfit's own client do.
    """
    lock, over = threading.Lock(), time.monotonic() + seconds

    def client(number: int) -> None:
        connection, times, errors = HTTPConnection("127.0.0.1", port, timeout=30), [], []
        turn, tags = number, dict[str, str]()
        while time.monotonic() < over:
            started = time.perf_counter()
            try:
                path = paths[turn % len(paths)]
                connection.request("GET", path, headers={"If-None-Match": tags[path]} if path in tags else {})
                answer = connection.getresponse()
                answer.read()
                if tag := answer.headers["ETag"]:
                    tags[path] = tag
                if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
                    errors.append(f"{answer.status}")
            except (HTTPException, OSError) as error:
                errors.append(repr(error))
                connection.close()
            times.append(1e3 * (time.perf_counter() - started))
            turn += 1
        connection.close()
        with lock:
            into.milliseconds += times
            into.errors += errors

    started, used = time.perf_counter(), cpu_seconds(server)
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    into.seconds += time.perf_counter() - started
    into.cpu_seconds += cpu_seconds(server) - used


def cpu_seconds(server: psutil.Process) -> float:
    """Of a gunicorn and its processes."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def load(clients: int, seconds: float, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rightfit-load-") as folder:
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": folder}), port=0, threads=1)
        with Stack(settings) as stack:
            ids = [
                httpx.post(f"{stack.url}/v1/jobs", json=SPEC, trust_env=False).raise_for_status().json()["id"]
                for _ in range(JOBS)
            ]

            def epochs() -> int:
                return int(httpx.get(f"{stack.url}/v1/jobs/{ids[0]}", trust_env=False).json()["progress"]["epoch"])

            assert eventually(lambda: epochs() > 20), "the job does not train"
            before = epochs()
            after = f"{before - 10}"  # as a client polls: what is new since it last looked
            paths = [f"/v1/jobs/{ids[0]}", f"/v1/jobs/{ids[0]}/history?after_epoch={after}", f"/v1/jobs/{ids[1]}"]
            own = replace(stack.settings, port=free_port())
            command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"]
            with subprocess.Popen(
                [*LIFELINE, *command, "tests.benchmarks.load:empty_route"],
                cwd=ROOT,
                env=os.environ | own.to_env(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as bare:
                try:
                    by_route = {"empty route": Measured(), "status and history": Measured()}
                    wait_for(own.port)
                    api = gunicorn(psutil.Process().children(recursive=True))
                    for _ in range(rounds):
                        poll(psutil.Process(bare.pid), own.port, ["/"], clients, seconds, by_route["empty route"])
                        poll(api, stack.settings.port, paths, clients, seconds, by_route["status and history"])
                finally:
                    bare.terminate()
            trained = epochs() - before
            for job_id in reversed(ids):
                httpx.post(f"{stack.url}/v1/jobs/{job_id}/cancel", trust_env=False)
    return {name: measured.summary() for name, measured in by_route.items()} | {"epochs_meanwhile": trained}


def gunicorn(processes: Iterable[psutil.Process]) -> psutil.Process:
    """The first gunicorn of the API among processes."""
    return next(process for process in processes if "service.wsgi:app" in process.cmdline())


def wait_for(port: int) -> None:
    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).is_success
        except httpx.TransportError:
            return False

    assert eventually(answers), "the empty route does not answer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    print(json.dumps(load(given.clients, given.seconds, given.rounds)))


if __name__ == "__main__":
    main()
