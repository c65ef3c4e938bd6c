"""The socket of a client. A thread may wait for a client only in one of a fixed number of places, and not for ever."""

import errno
import os
import select
import socket
import threading
import time
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from werkzeug.exceptions import RequestTimeout, ServiceUnavailable

from service.http import turns

PATIENCE_SECONDS = 10.0  # without a byte of the body
SEND_SECONDS = 30.0  # in which a client reads nothing of its answer
LEAST_RATE = 1 << 14  # bytes a second of a body or an answer; at this rate, patience does not run out
MOST_UNSENT = 1 << 17  # bytes that the kernel keeps for a client beyond those on their way (Linux: tcp(7))
SENDFILE_BYTES = 1 << 30  # in one call; Linux sends at most 2 GiB


class NoPlace(OSError):
    """Too many threads wait for clients."""


class Patience:
    """The seconds for which a client is still waited for, at most `most`. Waiting uses them up, bytes restore them."""

    def __init__(self, most: float) -> None:
        self._most = self.left = most

    def spend(self, seconds: float) -> None:
        """Count seconds of waiting."""
        self.left -= seconds

    def restore(self, size: int) -> None:
        """Count bytes that were received or sent."""
        self.left = min(self._most, self.left + size / LEAST_RATE)


class ClientSocket(socket.socket):
    """A socket that never blocks by itself: `recv`, `sendall` and `sendfile` wait in one of the places of `places`."""

    def __init__(self, accepted: socket.socket, places: threading.Semaphore) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT)
        self._places = places
        self.rest = bytearray()  # of an answer for whose reader no thread waits
        self.start_request(waits=True)

    def start_request(self, *, waits: bool) -> None:
        """Restore the patience. With `waits` false, `sendall` never waits, and leaves what cannot be sent in `rest`."""
        self._receiving, self._sending = Patience(PATIENCE_SECONDS), Patience(SEND_SECONDS)
        self._waits = waits

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn switches between the modes."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing, as above."""

    def recv_now(self, size: int) -> bytes:
        """Receive what is there. Raises BlockingIOError."""
        return super().recv(size)

    def send_rest(self) -> None:
        """Send what can be sent of the rest. Raises OSError if the connection is broken."""
        try:
            while self.rest:
                del self.rest[: self.send(self.rest)]
        except BlockingIOError:
            return

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive at least one byte, or b"" at the end. Raises TimeoutError and NoPlace."""
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                if not self._wait(select.POLLIN, self._receiving):
                    raise TimeoutError from None
                continue
            self._receiving.restore(len(data))
            return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all bytes. Raises ConnectionResetError if the client reads too slowly, and NoPlace."""
        left = memoryview(data)
        while left and not self.rest:
            try:
                sent = self.send(left, flags)
            except BlockingIOError:
                if not self._waits:
                    break
                self._wait_for_reader()
                continue
            self._sending.restore(sent)
            left = left[sent:]
        self.rest += left

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
            self._sending.restore(step)
            sent += step
        return sent

    def _wait_for_reader(self) -> None:
        if not self._wait(select.POLLOUT, self._sending):
            rate = f"{SEND_SECONDS:g} s, and one more for each {LEAST_RATE} bytes"
            raise ConnectionResetError(errno.ECONNRESET, f"the client reads too slowly; allowed: {rate}")

    def _wait(self, event: int, patience: Patience) -> bool:
        """Wait for the client; returns whether it is ready. Raises NoPlace, which gunicorn takes for a reset."""
        if patience.left <= 0:
            return False
        if not self._places.acquire(blocking=False):
            raise NoPlace(errno.ECONNRESET, "too many clients are slow")
        try:
            turns.give_back()
            began = time.monotonic()
            poller = select.poll()
            poller.register(self, event)
            is_ready = bool(poller.poll(1000 * patience.left))
            patience.spend(time.monotonic() - began)
            return is_ready
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
