"""Large load: an archive is read in little memory, and many open streams leave room for other requests."""

import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serving
from tests.large import archive, send
from tests.ports import PATIENCE_SECONDS, eventually

MOST_MEGABYTES = 300
STREAMS = 100


@pytest.mark.long
def test_large_archive_is_uploaded_and_read_in_little_memory(serving: Serving, tmp_path: Path) -> None:
    archive(tmp_path / "large.zip", 200)
    most, _, _ = send(serving, tmp_path / "large.zip")
    assert most["reader"] > 0
    assert all(used < MOST_MEGABYTES for used in most.values()), most


def test_hundred_open_streams_leave_room_for_requests(serving: Serving) -> None:
    spec = {"dataset": {"id": "digits"}, "epochs": 100_000, "early_stopping": None}
    job = httpx.post(f"{serving.url}/v1/jobs", json=spec).json()
    url = httpx.URL(serving.url)
    head = f"GET {job['links']['events']} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nAccept: text/event-stream\r\n\r\n"
    with ExitStack() as held:
        held.callback(httpx.post, f"{serving.url}{job['links']['cancel']}")
        streams = []
        for _ in range(STREAMS):
            stream = held.enter_context(socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_SECONDS))
            stream.sendall(head.encode())
            streams.append(stream)
        for stream in streams:
            assert b"200 OK" in stream.recv(200)
        assert httpx.get(f"{serving.url}/livez", timeout=PATIENCE_SECONDS).status_code == 200
        assert httpx.get(f"{serving.url}{job['links']['self']}", timeout=PATIENCE_SECONDS).status_code == 200
        httpx.post(f"{serving.url}{job['links']['cancel']}")

        seen = dict.fromkeys(streams, b"")
        assert eventually(lambda: all(_ends(stream, seen) for stream in streams))


def _ends(stream: socket.socket, seen: dict[socket.socket, bytes]) -> bool:
    """Whether the stream has sent its end event; `seen` keeps the last part of each stream."""
    while b"event: end" not in seen[stream]:
        try:
            block = stream.recv(1 << 16)
        except TimeoutError:
            break
        if not block:
            break
        seen[stream] = (seen[stream] + block)[-2000:]
    return b"event: end" in seen[stream]
