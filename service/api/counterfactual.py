"""The resource /v1/jobs/{id}/counterfactual."""

from typing import Any

from service.api.blueprint import Blueprint
from service.core.errors import Conflict
from service.core.experiments.counterfactual import recorded, replay
from service.http.auth import tenant
from service.schemas.counterfactual import CounterfactualQuerySchema, CounterfactualSchema
from service.services import services

blueprint = Blueprint("counterfactual", __name__, url_prefix="/v1/jobs", description="Early stopping replayed")


@blueprint.route("/<job_id>/counterfactual")
@blueprint.arguments(CounterfactualQuerySchema, location="query")
@blueprint.response(200, CounterfactualSchema)
def counterfactual(query: dict[str, Any], job_id: str) -> dict[str, Any]:
    """Replay the recorded losses with other settings of early stopping"""
    job, epochs = services().store.queries.history(tenant(), job_id)
    if not job.is_terminal:
        raise Conflict(f"the job is {job.status}; wait until it has ended")
    if not epochs:
        raise Conflict(f"the job ended ({job.status}) before its first epoch was complete; there is nothing to replay")
    settings = replay(epochs, job.spec, query["patience"], query["min_delta"], job.stop_reason)
    return {"actual": recorded(epochs, job.stop_reason), "data": settings}
