"""The resource /v1/jobs/{id}/events: what happened to a job, as JSON or as a live stream.

The stream is that of the HTML standard (server-sent events): SQL is read after each wake-up, so that nothing is missed
or told twice, whatever Redis does; without Redis it is read every half second.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from flask import Response, request, stream_with_context
from werkzeug.exceptions import ServiceUnavailable

from service.api.blueprint import Blueprint
from service.core.errors import DatabaseError, Fault, Invalid, NotFound
from service.core.records.job_event import Event
from service.http.auth import tenant
from service.schemas.answer_fields import format_time
from service.schemas.events import EventsQuerySchema, EventsSchema
from service.services import Services, services

STREAM = "text/event-stream"
PAGE = 500
RETRY_MS = 2000  # how long a client waits before it comes back
COMMENT_SECONDS = 15.0  # of silence, then a comment shows that the stream lives
LOOK_SECONDS = 5.0  # how long an event may go unseen, should its wake-up be lost

blueprint = Blueprint("events", __name__, url_prefix="/v1/jobs", description="What happened, in order")


@blueprint.route("/<job_id>/events")
@blueprint.arguments(EventsQuerySchema, location="query")
@blueprint.response(200, EventsSchema)
@blueprint.alt_response(200, content_type=STREAM, schema={"type": "string"}, description="With Accept: " + STREAM)
@blueprint.doc(
    parameters=[
        {
            "in": "header", "name": "Last-Event-ID", "schema": {"type": "string", "pattern": "^[0-9]{0,18}$"},
            "description": "of a stream: go on after this event",
        }
    ]
)  # fmt: skip
def events(query: dict[str, Any], job_id: str) -> Any:
    """The events of a job after a given one, or live with Accept: text/event-stream"""
    after = _last_seen(query["after"])
    if request.accept_mimetypes.best_match(["application/json", STREAM]) == STREAM:
        return _live(job_id, after)
    found = services().store.queries.events(tenant(), job_id, after, query["limit"] + 1)[1]
    return {"data": found[: query["limit"]], "has_more": len(found) > query["limit"]}


def _last_seen(after: int) -> int:
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return after
    if not (given.isascii() and given.isdigit() and len(given) <= 18):  # noqa: PLR2004 - fits a 64-bit number
        raise Invalid([Fault("/Last-Event-ID", "not the id of an event", "the id of an event that was sent")])
    return int(given)


def _live(job_id: str, after: int) -> Response:
    here = services()
    here.store.queries.events(tenant(), job_id, after, 1)  # raises NotFound before anything is sent
    owner = tenant()
    if not here.waiting.enter(owner):
        raise ServiceUnavailable("too many streams are open; poll, or try again")
    answer = Response(stream_with_context(_told(here, owner, job_id, after)), mimetype=STREAM)
    answer.call_on_close(lambda: here.waiting.leave(owner))
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return answer


def _told(here: Services, owner: str, job_id: str, after: int) -> Iterator[str]:
    yield f"retry: {RETRY_MS}\n"
    spoke = time.monotonic()
    with here.wakeups.listen(job_id) as wait:
        while True:
            try:
                is_over, found = here.store.queries.events(owner, job_id, after, PAGE)
            except NotFound:
                yield "event: end\ndata: {}\n\n"
                return
            except DatabaseError:  # the client comes back, and goes on where it was
                return
            for event in found:
                yield _line(event)
                after, spoke = event.id, time.monotonic()
            if found:
                continue
            if is_over:
                yield "event: end\ndata: {}\n\n"
                return
            wait(min(LOOK_SECONDS, COMMENT_SECONDS))
            if time.monotonic() - spoke >= COMMENT_SECONDS:
                yield ": nothing new\n\n"
                spoke = time.monotonic()


def _line(event: Event) -> str:
    data = json.dumps({"at": format_time(event.at), **event.data})
    return f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n"
