"""By what the request at hand is found again: its id, and the trace that it belongs to (W3C Trace Context, level 1).

Whoever answers a request binds it; whatever is logged meanwhile carries it, and so does a job that comes of it.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass

import structlog

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?=$|-)")


@dataclass(frozen=True)
class Correlation:
    """`traceparent` is that of the request's own span, or, where nobody traces here, the one that it came with."""

    request_id: str | None = None
    traceparent: str | None = None


NONE = Correlation()
_current: ContextVar[Correlation] = ContextVar("correlation", default=NONE)


def current() -> Correlation:
    """That of the request at hand; empty where there is none."""
    return _current.get()


def bind(found: Correlation) -> None:
    """From now on this context's log lines carry it, and nothing else that was bound before."""
    _current.set(found)
    structlog.contextvars.clear_contextvars()
    told = {"request_id": found.request_id, "trace_id": trace_id(found.traceparent)}
    structlog.contextvars.bind_contextvars(**{name: value for name, value in told.items() if value})


def valid(traceparent: str | None) -> str | None:
    """The header as it is kept; None of what is none. Of a later version, what this one knows."""
    found = TRACEPARENT.match(traceparent or "")
    return found[0] if found else None


def trace_id(traceparent: str | None) -> str | None:
    """The trace that it names, 32 hexadecimal digits."""
    found = TRACEPARENT.match(traceparent or "")
    return found[1] if found else None
