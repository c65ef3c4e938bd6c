"""A client's socket, on which no thread waits for ever."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

from service.http import client_socket
from service.http.client_socket import LEAST_RATE, BodyReader, ClientSocket, NoPlace
from tests.ports import eventually

LARGE = b"x" * (16 << 20)  # more than kernels keep for a client that does not read
STEP, PAUSE_SECONDS = LEAST_RATE // 100, 0.02  # half of the least rate
STEPS = 60
BLOCK = 1 << 16


@contextmanager
def connected(places: int = 1) -> Iterator[tuple[ClientSocket, socket.socket]]:
    """The server's socket and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with ClientSocket(accepted, threading.Semaphore(places)) as sock:
            yield sock, client


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_socket, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(client_socket, "SEND_SECONDS", 0.3)


@contextmanager
def slowly(step: Callable[[], object], then: Callable[[], object]) -> Iterator[None]:
    """Beside the block, do a step STEPS times with pauses, then the last action."""

    def work() -> None:
        for _ in range(STEPS):
            step()
            time.sleep(PAUSE_SECONDS)
        then()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def read_all(client: socket.socket) -> int:
    """The number of bytes until the end."""
    return sum(map(len, iter(lambda: client.recv(BLOCK), b"")))


def _has_sent_rest(sock: ClientSocket) -> bool:
    sock.send_rest()
    return not sock.rest


def test_a_body_slower_than_the_least_rate_is_refused(short_patience: None) -> None:
    with connected() as (sock, client):
        sending = slowly(lambda: client.send(b"x" * STEP), lambda: client.shutdown(socket.SHUT_WR))
        with sending, pytest.raises(RequestTimeout, match="16384 bytes"):
            list(iter(BodyReader(sock).chunk, b""))


def test_a_reader_slower_than_the_least_rate_is_dropped(short_patience: None) -> None:
    with connected() as (sock, client):
        reading = slowly(lambda: client.recv(STEP), client.close)
        with reading, pytest.raises(ConnectionResetError, match="too slowly"):
            sock.sendall(LARGE)


def test_a_fast_reader_gets_everything(short_patience: None) -> None:
    with connected() as (sock, client):
        received: list[int] = []
        reader = threading.Thread(target=lambda: received.append(read_all(client)))
        reader.start()
        sock.sendall(LARGE)
        sock.shutdown(socket.SHUT_WR)
        reader.join()
        assert received == [len(LARGE)]


def test_without_a_place_no_thread_waits() -> None:
    with connected(places=0) as (sock, _):
        with pytest.raises(ServiceUnavailable, match="too many clients"):
            BodyReader(sock).chunk()
        with pytest.raises(NoPlace, match="too many clients"):
            sock.sendall(LARGE)


def test_an_answer_that_must_not_wait_leaves_its_rest() -> None:
    with connected(places=0) as (sock, client):
        sock.start_request(waits=False)
        sock.sendall(LARGE)
        sock.sendall(b"end")
        assert sock.rest.endswith(b"xend")
        received: list[int] = []
        reader = threading.Thread(target=lambda: received.append(read_all(client)))
        reader.start()
        assert eventually(lambda: _has_sent_rest(sock))
        sock.shutdown(socket.SHUT_WR)
        reader.join()
        assert received == [len(LARGE) + len(b"end")]
