"""Events in pages of JSON or as a live stream, in the format of server-sent events (HTML standard).

The stream reads SQL after a wake-up, so that no event is lost or repeated, whatever Redis does. The streams of a topic
read at the same moments, and share what one of them has read. Without Redis they read every half second. A stream ends
when the key of its request is no longer valid; the client connects again and is refused.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from flask import Response, request, stream_with_context
from werkzeug.exceptions import ServiceUnavailable

from service.core.broker.wakeups import Wait
from service.core.errors import DatabaseError, Fault, Invalid, NotFound, QuotaExceeded
from service.core.records.job_event import Event
from service.core.sql.usage import RETRY_SECONDS
from service.http import turns
from service.http.auth import key_check, tenant
from service.http.shared_reads import Lines, SharedReads
from service.schemas.answer_fields import format_time
from service.services import services

# Reads the events after an id, with the largest number to return; also returns whether no more events will come.
Read = Callable[[int, int], tuple[bool, Sequence[Event]]]
# Reads the lines after an id, at a tick or anew.
ReadLines = Callable[[int, float | None], Lines]

STREAM = "text/event-stream"
PAGE = 500
RETRY_MS = 2000  # milliseconds before a client connects again
COMMENT_SECONDS = 15.0  # without events before a comment shows that the stream is alive; between two checks of the key
READ_SECONDS = 5.0  # longest delay of an event whose wake-up was lost
LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "schema": {"type": "string", "pattern": "^[0-9]{0,18}$"},
    "description": "for a stream: start after this event",
}
AS_STREAM: dict[str, Any] = {
    "content_type": STREAM,
    "schema": {"type": "string"},
    "description": "With Accept: " + STREAM,
}


def answer_events(topic: str, query: dict[str, Any], read: Read) -> Any:
    """The events that `read` returns: a page, or a stream that reads again after each wake-up of the topic.

    Raises what `read` raises.
    """
    after = _last_seen(query["after"])
    if request.accept_mimetypes.best_match(["application/json", STREAM]) == STREAM:
        return _live(topic, after, read, with_positions=query.get("positions", False))
    newer = read(after, query["limit"] + 1)[1]
    return {"data": newer[: query["limit"]], "has_more": len(newer) > query["limit"]}


def _last_seen(after: int) -> int:
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return after
    if not (given.isascii() and given.isdigit() and len(given) <= 18):  # noqa: PLR2004 - fits a 64-bit number
        raise Invalid([Fault("/Last-Event-ID", "this is not an event id", "an event id: up to 18 digits")])
    return int(given)


def _live(topic: str, after: int, read: Read, *, with_positions: bool) -> Response:
    own, owner = services(), tenant()
    read(after, 1)  # raises NotFound before the response starts
    with ExitStack() as places:
        if not own.streams.enter(owner):
            most = own.settings.quota_streams
            raise QuotaExceeded(
                f"{most} streams are open; allowed: {most} at a time. Close some, or poll", RETRY_SECONDS
            )
        places.callback(own.streams.leave, owner)
        if not own.waiting.enter(owner):
            raise ServiceUnavailable("too many streams are open; poll instead, or try again later")
        places.callback(own.waiting.leave, owner)
        watching = own.wakeups.listen(topic, with_positions=with_positions)
        shared = own.shared_reads
        lines = _stream(watching, _Key(key_check()), after, shared, _shared(shared, f"{owner} {topic}", read))
        answer = Response(stream_with_context(lines), mimetype=STREAM)
        answer.call_on_close(places.pop_all().close)
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would buffer the events
    return answer


def _stream(
    watching: AbstractContextManager[Wait], key: "_Key", after: int, shared: SharedReads, read: ReadLines
) -> Iterator[str]:
    yield f"retry: {RETRY_MS}\n"
    sent_at = time.monotonic()
    tick: float | None = None
    with shared.stream(), watching as wait:
        while True:
            try:
                if key.is_lost():
                    return
                new = read(after, tick)
            except NotFound:
                yield "event: end\ndata: {}\n\n"
                return
            except DatabaseError:  # the client connects again and continues after its last event
                return
            if new.lines:
                yield "".join(new.lines)  # one write to the socket, however many events
                after, sent_at, tick = new.last, time.monotonic(), None
            if len(new.lines) == PAGE:
                continue
            if new.is_over:
                yield "event: end\ndata: {}\n\n"
                return
            turns.give_back()
            yield from _positions(wait, min(READ_SECONDS, COMMENT_SECONDS))
            tick = shared.await_tick()
            if time.monotonic() - sent_at >= COMMENT_SECONDS:
                yield ": nothing new\n\n"
                sent_at = time.monotonic()


def _positions(wait: Wait, seconds: float) -> Iterator[str]:
    """The positions that arrive until a wake-up, at most for some seconds. More wake-ups that wait are the same one."""
    again_at, is_woken = time.monotonic() + seconds, False
    while (message := wait(0 if is_woken else max(0.0, again_at - time.monotonic()))) is not None:
        is_woken = is_woken or not message
        if message:
            yield f"event: position\ndata: {message}\n\n"


def _shared(shared: SharedReads, topic: str, read: Read) -> ReadLines:
    """Reads lines after an id: at a tick together with the other streams of the topic, otherwise anew."""

    def anew(after: int) -> Lines:
        is_over, newer = read(after, PAGE)
        return Lines(tuple(map(_line, newer)), newer[-1].id if newer else after, is_over)

    def lines(after: int, tick: float | None) -> Lines:
        return anew(after) if tick is None else shared.at_tick(topic, after, tick, lambda: anew(after))

    return lines


class _Key:
    """The key of a stream, looked up once in COMMENT_SECONDS."""

    def __init__(self, is_valid: Callable[[], bool]) -> None:
        self._is_valid, self._checked_at = is_valid, time.monotonic()

    def is_lost(self) -> bool:
        """Whether the key was revoked or has expired. Raises DatabaseError."""
        if time.monotonic() - self._checked_at < COMMENT_SECONDS:
            return False
        self._checked_at = time.monotonic()
        return not self._is_valid()


def _line(event: Event) -> str:
    data = json.dumps({"at": format_time(event.at), **event.data})
    return f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n"
