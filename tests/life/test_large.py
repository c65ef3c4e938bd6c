"""Much at once: a large archive takes little memory, and many open streams leave room for everyone else."""

import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serving
from tests.large import archive, send
from tests.ports import eventually

MOST_MEGABYTES = 300
STREAMS = 100


def test_an_archive_is_sent_and_read_in_little_memory(serving: Serving, tmp_path: Path) -> None:
    archive(tmp_path / "large.zip", 200)
    most, _, _ = send(serving, tmp_path / "large.zip")
    assert most["reader"] > 0
    assert all(used < MOST_MEGABYTES for used in most.values()), most


def test_a_hundred_open_streams_leave_room_for_everyone_else(serving: Serving) -> None:
    spec = {"dataset": {"id": "digits"}, "epochs": 100_000, "early_stopping": None}
    job = httpx.post(f"{serving.url}/v1/jobs", json=spec).json()
    url = httpx.URL(serving.url)
    head = f"GET {job['links']['events']} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
    with ExitStack() as held:
        streams = []
        for _ in range(STREAMS):
            stream = held.enter_context(socket.create_connection((url.host, url.port or 80), timeout=10))
            stream.sendall(head.encode())
            streams.append(stream)
        for stream in streams:
            assert b"200 OK" in stream.recv(200)
        assert httpx.get(f"{serving.url}/livez", timeout=10).status_code == 200
        assert httpx.get(f"{serving.url}{job['links']['self']}", timeout=10).status_code == 200
        httpx.post(f"{serving.url}{job['links']['cancel']}")

        def all_have_ended() -> bool:
            return all(_ends(stream) for stream in streams)

        assert eventually(all_have_ended, 60)


_seen: dict[socket.socket, bytes] = {}


def _ends(stream: socket.socket) -> bool:
    text = _seen.get(stream, b"")
    while b"event: end" not in text:
        try:
            block = stream.recv(1 << 16)
        except TimeoutError:
            break
        if not block:
            break
        text = (text + block)[-2000:]
    _seen[stream] = text
    return b"event: end" in text


@pytest.fixture(autouse=True)
def _forget() -> None:
    _seen.clear()
