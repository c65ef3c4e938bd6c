"""The ids of the current request: its own, and its trace (W3C Trace Context, level 1).

The API binds them at the start of a request. Log lines and new jobs carry them.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass

from structlog.typing import EventDict

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?=$|-)")


@dataclass(frozen=True)
class Correlation:
    """`traceparent` is that of the request's own span, or, without tracing, that of the request's header."""

    request_id: str | None = None
    traceparent: str | None = None


NONE = Correlation()
_current: ContextVar[Correlation] = ContextVar("correlation", default=NONE)


def current() -> Correlation:
    """The ids of the current request; empty outside one."""
    return _current.get()


def bind(correlation: Correlation) -> None:
    """Set the ids of the current request, in place of all earlier ones."""
    _current.set(correlation)


def add_ids(_logger: object, _method: str, entry: EventDict) -> EventDict:
    """Add the ids of the current request to a log line."""
    request_id, traceparent = current().request_id, current().traceparent
    if request_id:
        entry["request_id"] = request_id
    if traceparent:
        entry["trace_id"] = trace_id(traceparent)
    return entry


def valid(traceparent: str | None) -> str | None:
    """The valid part of a traceparent header, None if there is none. A later version is cut to the known fields."""
    match = TRACEPARENT.match(traceparent or "")
    return match[0] if match else None


def trace_id(traceparent: str | None) -> str | None:
    """The id of the trace, 32 hexadecimal digits."""
    match = TRACEPARENT.match(traceparent or "")
    return match[1] if match else None
