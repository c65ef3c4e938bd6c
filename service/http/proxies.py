"""What a proxy in front of the service reports about the client's request: address, scheme, host and path prefix.

Only proxies of known addresses are believed: any client could send these headers.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any

from service.core.text.hosts import Network, is_within, parse_address

SCHEMES = ("http", "https")
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")  # no // at its start, which would lead links to another host

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class TrustedProxies:
    """A WSGI app that puts X-Forwarded-For, -Proto, -Host and -Prefix of trusted proxies in the place of the facts of
    the connection. Headers of other senders, and values that are not valid, have no effect.
    """

    def __init__(self, app: Wsgi, trusted: Sequence[Network]) -> None:
        self._app, self._trusted = app, trusted

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        chain = [environ.get("REMOTE_ADDR", ""), *reversed(_values(environ, "FOR"))]  # the nearest sender first
        if hops := len(list(takewhile(self._is_trusted, chain))):
            _apply(environ, hops)
        return self._app(environ, start_response)

    def _is_trusted(self, text: str) -> bool:
        address = parse_address(text)
        return address is not None and is_within(address, self._trusted)


def _values(environ: Environ, name: str) -> list[str]:
    """The values of X-Forwarded-`name`: each proxy appends one, or replaces all by its own."""
    return [value.strip() for value in environ.get(f"HTTP_X_FORWARDED_{name}", "").split(",") if value.strip()]


def _apply(environ: Environ, hops: int) -> None:
    """Take the values that the outermost of `hops` trusted proxies set. Values to their left are the client's own."""

    def forwarded(name: str) -> str:
        return next(iter(_values(environ, name)[-hops:]), "")

    if client := forwarded("FOR"):
        environ["REMOTE_ADDR"] = client
    if (scheme := forwarded("PROTO").lower()) in SCHEMES:
        environ["wsgi.url_scheme"] = scheme
    if host := forwarded("HOST"):
        environ["HTTP_HOST"] = host
    prefix = forwarded("PREFIX").rstrip("/")
    if PREFIX.fullmatch(prefix) and ".." not in prefix:
        environ["SCRIPT_NAME"] = prefix
