"""The socket of a client. A thread may wait for a client only in one of a fixed number of places."""

import errno
import os
import select
import socket
import threading
import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

PATIENCE_SECONDS = 10.0  # without a byte of the body
LEAST_RATE = 1024  # bytes a second; a body at this rate keeps its patience
SEND_SECONDS = 30.0  # in which a client reads nothing of its answer
SENDFILE_BYTES = 1 << 30  # in one call; Linux sends at most 2 GiB


class NoPlace(OSError):
    """Too many threads wait for clients."""


class ClientSocket(socket.socket):
    """A socket that never blocks by itself: `recv`, `sendall` and `sendfile` wait in one of the places of `places`.

    `patience` is the number of seconds for which `recv` still waits. Waiting uses it up, received bytes restore it.
    """

    def __init__(self, accepted: socket.socket, places: threading.Semaphore) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self._places = places
        self.patience = PATIENCE_SECONDS

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn switches between the modes."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing, as above."""

    def recv_now(self, size: int) -> bytes:
        """Receive what is there. Raises BlockingIOError."""
        return super().recv(size)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive at least one byte, or b"" at the end. Raises TimeoutError and NoPlace."""
        began = time.monotonic()
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                left = began + self.patience - time.monotonic()
                if not self._wait(select.POLLIN, left):
                    raise TimeoutError from None
                continue
            waited = time.monotonic() - began
            self.patience = min(PATIENCE_SECONDS, self.patience - waited + len(data) / LEAST_RATE)
            return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all bytes. Raises ConnectionResetError if the client does not read them, and NoPlace."""
        left = memoryview(data)
        while left:
            try:
                left = left[self.send(left, flags) :]
            except BlockingIOError:
                self._wait_for_reader()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes of a file, or all after `offset`; returns their number. Raises as `sendall`."""
        most = os.fstat(file.fileno()).st_size - offset if count is None else count
        sent = 0
        while sent < most:
            try:
                step = os.sendfile(self.fileno(), file.fileno(), offset + sent, min(most - sent, SENDFILE_BYTES))
            except BlockingIOError:
                self._wait_for_reader()
                continue
            if step == 0:  # the file is shorter
                break
            sent += step
        return sent

    def _wait_for_reader(self) -> None:
        if not self._wait(select.POLLOUT, SEND_SECONDS):
            raise ConnectionResetError(errno.ECONNRESET, f"the client read nothing for {SEND_SECONDS:g} s")

    def _wait(self, event: int, seconds: float) -> bool:
        """Wait for the client; returns whether it is ready. Raises NoPlace, which gunicorn takes for a reset."""
        if seconds <= 0:
            return False
        if not self._places.acquire(blocking=False):
            raise NoPlace(errno.ECONNRESET, "too many clients are slow")
        try:
            poller = select.poll()
            poller.register(self, event)
            return bool(poller.poll(1000 * seconds))
        finally:
            self._places.release()


class BodyReader(SocketUnreader):  # type: ignore[misc]  # gunicorn ships no types
    """Reads the body of a request from a ClientSocket. Raises werkzeug's 408 and 503 for slow clients."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        try:
            return bytes(super().chunk(size_hint))
        except TimeoutError:
            rate = f"{PATIENCE_SECONDS:g} seconds, and one more for each {LEAST_RATE} bytes"
            raise RequestTimeout(f"the body arrives too slowly; allowed: {rate}") from None
        except NoPlace:
            raise ServiceUnavailable("too many clients send slowly; try again") from None
