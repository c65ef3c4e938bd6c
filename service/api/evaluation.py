"""The resource /v1/jobs/{id}/evaluation: scores, confusion matrix, calibration and mistakes of the best model."""

from typing import Any

from flask import Response

from service.api.blueprint import Blueprint
from service.api.evaluated import evaluated_job, published_predictions
from service.api.evaluation_answers import draw, respond
from service.core.errors import Conflict
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.facts import CalibrationFact
from service.http.auth import tenant
from service.schemas.evaluation import EvaluationQuerySchema, EvaluationSchema, PartQuerySchema
from service.schemas.jobs import CalibrationFactSchema
from service.services import services

blueprint = Blueprint("evaluation", __name__, url_prefix="/v1/jobs", description="Evaluations of trained models")


@blueprint.route("/<job_id>/evaluation")
@blueprint.arguments(EvaluationQuerySchema, location="query")
@blueprint.response(200, EvaluationSchema)
@blueprint.alt_response(200, content_type="text/csv", schema={"type": "string"}, description="With ?format")
@blueprint.alt_response(200, content_type="text/plain", schema={"type": "string"}, description="With ?format")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def evaluation(query: dict[str, Any], job_id: str) -> Response:
    """Evaluate the best model of an ended job, image by image"""
    return respond(evaluated_job(*published_predictions(job_id)), query)


@blueprint.route("/<job_id>/evaluation.png")
@blueprint.arguments(PartQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def png(query: dict[str, Any], job_id: str) -> Response:
    """Get the confusion matrix and the reliability diagram as a picture"""
    return draw(evaluated_job(*published_predictions(job_id)), query, "png")


@blueprint.route("/<job_id>/evaluation.svg")
@blueprint.arguments(PartQuerySchema, location="query")
@blueprint.response(200, {"type": "string"}, content_type="image/svg+xml")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def svg(query: dict[str, Any], job_id: str) -> Response:
    """Get the confusion matrix and the reliability diagram as a vector picture"""
    return draw(evaluated_job(*published_predictions(job_id)), query, "svg")


@blueprint.route("/<job_id>/calibrate", methods=["POST"])
@blueprint.response(200, CalibrationFactSchema)
def calibrate(job_id: str) -> Any:
    """Fit the temperature of an ended job that has none; it corrects probabilities and changes no predicted class"""
    job, published = published_predictions(job_id)
    if job.facts and job.facts.calibration:
        return job.facts.calibration
    found = services().predictions.evaluate(published[PREDICTIONS], "validation").calibration
    job, _ = services().store.actions.calibrate(tenant(), job_id, CalibrationFact.of(found))
    if job.facts is None:
        raise Conflict("the job has no facts that a temperature could be added to")
    return job.facts.calibration
