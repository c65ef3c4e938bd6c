"""A request to an untrusted server: to one checked address, and with a deadline for the whole request.

A timeout for each read is not enough: a server that sends a byte now and then would never exceed it.
"""

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore


class PinnedBackend(httpcore.NetworkBackend):
    """Connects to `address` for any host, and ends every operation `seconds` after its creation."""

    def __init__(self, address: str, seconds: float) -> None:
        self._address, self._deadline = address, time.monotonic() + seconds
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Stream(self._backend.connect_tcp(self._address, port, left, local_address), self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, error: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise error("the deadline has passed")
    return left


def post(url: str, address: str, headers: dict[str, str], content: bytes, seconds: float) -> int:
    """The HTTP status of the answer; its body is not read. Raises httpcore's errors and ssl.SSLError."""
    with (
        httpcore.ConnectionPool(network_backend=PinnedBackend(address, seconds)) as pool,
        pool.stream("POST", url, headers=list(headers.items()), content=content) as answer,
    ):
        return answer.status
