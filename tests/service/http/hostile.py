"""The API behind its gunicorn, and clients that do not behave."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import httpx

from service.core.settings import Settings
from tests.ports import eventually, free_port
from tests.servers import LIFELINE, ROOT

HOST = b"Host: 127.0.0.1\r\n"
SMALL_BUFFER = 4096  # bytes that the kernel receives for a client that does not read
ASKED, ASKED_OFTEN = 40, 1000  # large and small answers that a client requests and does not read
CONNECT_SECONDS = 60


class Gunicorn:
    """The API as a child process, as deploy/gunicorn.conf.py serves it."""

    def __init__(self, settings: Settings, *options: str) -> None:
        self.settings = replace(settings, port=free_port())
        self.port = self.settings.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = settings.home / "api.log"
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", *options, "service.wsgi:app"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*LIFELINE, *command], cwd=ROOT, env=os.environ | self.settings.to_env(), stdout=log, stderr=log
            )

    def __enter__(self) -> "Gunicorn":
        with httpx.Client(trust_env=False) as client:

            def answers() -> bool:
                try:
                    return client.get(f"{self.url}/livez").is_success
                except httpx.TransportError:
                    return False

            assert eventually(answers), self.log()
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        self.process.wait()

    def log(self) -> str:
        return self._log.read_text()


def ask(method: str, path: str, *headers: str, body: str = "") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


JSON = "Content-Type: application/json"


def hostile(job: str) -> dict[str, bytes]:
    """What each kind of misbehaving client sends, before it does nothing more and keeps its connection open."""
    return {
        "nothing": b"",
        "half a header": b"GET /livez HTTP/1.1\r\n" + HOST + b"X: ",
        "half a small body": ask("POST", "/v1/jobs", JSON, "Content-Length: 1000", body="{"),
        "half a large body": ask("POST", "/v1/jobs", JSON, "Content-Length: 900000", body="{"),
        "half a chunk": ask("POST", "/v1/jobs", JSON, "Transfer-Encoding: chunked", body="9\r\n{"),
        "half an upload": ask(
            "POST", "/v1/datasets?name=a", "Content-Type: application/zip", "Content-Length: 9999999"
        ),
        "half a body that is not used": ask("POST", "/v1/nothing", JSON, "Content-Length: 900000", body="{"),
        "no end after the answer": ask("GET", "/livez", "Connection: close"),
        "waiting for a change": ask("GET", f"/v1/jobs/{job}?wait=30"),
        "no reading of a stream": ask("GET", f"/v1/jobs/{job}/events", "Accept: text/event-stream"),
        "no reading of answers": ask("GET", "/openapi.json") * ASKED,
        "no reading of probes": ask("GET", "/livez") * ASKED_OFTEN,
        "no reading of metrics": ask("GET", "/metrics") * ASKED_OFTEN,
        "no reading of jobs": ask("GET", "/v1/jobs") * ASKED_OFTEN,
        "no reading of files": ask("GET", "/docs/assets/swagger-ui-bundle.js") * ASKED,
    }


@contextmanager
def crowd(port: int, clients: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Clients that have sent these bytes, and do nothing more."""
    with ExitStack() as opened:
        sockets = []
        for _ in range(clients):
            client = opened.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            client.settimeout(CONNECT_SECONDS)
            client.connect(("127.0.0.1", port))
            client.sendall(sent)
            sockets.append(client)
        yield sockets


def answer_of(client: socket.socket) -> bytes:
    """Everything that the server sends until it closes the connection."""
    blocks: list[bytes] = []
    receive: Callable[[], bytes] = lambda: client.recv(1 << 16)  # noqa: E731 - for iter
    blocks.extend(iter(receive, b""))
    return b"".join(blocks)
