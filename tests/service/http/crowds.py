"""`python -m tests.service.http.crowds [CLIENTS]`: seconds to an answer beside crowds of hostile clients."""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import socket
from statistics import median

import httpx

from service.core.sql.engine import Database
from tests.conftest import Redis, local_settings
from tests.service.api.requests import SPEC
from tests.service.http.hostile import Gunicorn, crowd, hostile

CLIENTS = 200
TRIES = 5
SIP_SECONDS = 0.1  # between two bytes that each slow reader reads
LONGEST_SECONDS = 60.0  # for an answer that takes milliseconds: machines are shared
SLOW_READERS = "slow reading of answers"
KINDS = (*hostile("job"), SLOW_READERS)


def submit(api: Gunicorn) -> str:
    """The id of a job that no worker runs."""
    answer = httpx.post(f"{api.url}/v1/jobs", json=SPEC, trust_env=False)
    return str(answer.json()["id"])


def paths(job: str) -> tuple[str, ...]:
    """A poll of a job, and what machines request."""
    return ("/livez", "/readyz", "/metrics", f"/v1/jobs/{job}")


def seconds_to_answer(api: Gunicorn, path: str) -> float:
    """On a connection of its own."""
    began = time.monotonic()
    answer = httpx.get(f"{api.url}{path}", timeout=LONGEST_SECONDS, trust_env=False)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def seconds_beside(api: Gunicorn, job: str, kind: str, clients: int) -> dict[str, list[float]]:
    """Seconds of each of TRIES answers by path, while `clients` clients of one kind are connected."""
    sent = hostile(job) | {SLOW_READERS: hostile(job)["no reading of answers"]}
    with crowd(api.port, clients, sent[kind]) as sockets, _sipping(sockets if kind == SLOW_READERS else ()):
        return {path: [seconds_to_answer(api, path) for _ in range(TRIES)] for path in paths(job)}


@contextmanager
def _sipping(sockets: Sequence[socket]) -> Iterator[None]:
    """Read these sockets byte by byte."""
    is_over = threading.Event()

    def sip() -> None:
        while not is_over.wait(SIP_SECONDS):
            for client in sockets:
                client.setblocking(False)
                with suppress(OSError):
                    client.recv(1)

    reader = threading.Thread(target=sip)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()


def main(clients: int) -> None:
    with tempfile.TemporaryDirectory(prefix="rightfit-crowds-") as folder:
        redis = Redis(Path(folder))
        settings = local_settings(Path(folder), redis)
        settings.home.mkdir()
        database = Database(settings.database_url)
        database.migrate()
        database.close()
        with Gunicorn(settings) as api:
            job = submit(api)
            print(f"{'seconds, the first / the median':32}", *(f"{path:15.15}" for path in paths(job)))
            for kind in KINDS:
                found = seconds_beside(api, job, kind, clients).values()
                print(f"{kind:32}", *(f"{each[0]:5.2f} / {median(each):5.2f}  " for each in found), flush=True)
        redis.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS)
