"""The resource /v1/jobs/{id}/events: the events of a job as JSON or as a live stream."""

from typing import Any

from service.api.blueprint import Blueprint
from service.api.event_stream import AS_STREAM, LAST_EVENT_ID, answer_events
from service.http.auth import tenant
from service.schemas.events import EventsSchema, JobEventsQuerySchema
from service.services import services

blueprint = Blueprint("events", __name__, url_prefix="/v1/jobs", description="Events of a job, in order")


@blueprint.route("/<job_id>/events")
@blueprint.arguments(JobEventsQuerySchema, location="query")
@blueprint.response(200, EventsSchema)
@blueprint.alt_response(200, **AS_STREAM)
@blueprint.doc(parameters=[LAST_EVENT_ID])
def events(query: dict[str, Any], job_id: str) -> Any:
    """List the events of a job; with Accept: text/event-stream, stream them live"""
    queries, owner = services().store.queries, tenant()
    return answer_events(job_id, query, lambda after, limit: queries.events(owner, job_id, after, limit))
