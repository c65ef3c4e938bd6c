"""The resource /v1/fits/{id}/events: the decisions of a fit as JSON or as a live stream."""

from typing import Any

from service.api.blueprint import Blueprint
from service.api.event_stream import AS_STREAM, LAST_EVENT_ID, answer_events
from service.core.experiments.fits.events import fit_events
from service.http.auth import tenant
from service.schemas.events import EventsQuerySchema, EventsSchema
from service.services import services

blueprint = Blueprint("fit_events", __name__, url_prefix="/v1/fits", description="Events of a fit, in order")


@blueprint.route("/<fit_id>/events")
@blueprint.arguments(EventsQuerySchema, location="query")
@blueprint.response(200, EventsSchema)
@blueprint.alt_response(200, **AS_STREAM)
@blueprint.doc(parameters=[LAST_EVENT_ID])
def events(query: dict[str, Any], fit_id: str) -> Any:
    """List the decisions of a fit and its end; with Accept: text/event-stream, stream them live"""
    fits, owner = services().fits, tenant()
    return answer_events(fit_id, query, lambda after, limit: fit_events(fits.get(owner, fit_id), after, limit))
