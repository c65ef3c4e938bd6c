"""The resource /v1/jobs/{id}/evaluation: scores, confusion matrix, calibration and mistakes of the best model."""

import csv
import hashlib
import http
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, jsonify, request

from service.api.blueprint import Blueprint
from service.api.evaluated import Evaluated, evaluated_job, published_predictions
from service.core.errors import Conflict
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.facts import CalibrationFact
from service.http.auth import tenant
from service.rendering import evaluation_picture, evaluation_text
from service.rendering.evaluation_document import document, mistakes
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
    evaluated = evaluated_job(job_id)
    cell = evaluated.cell(query["label"], query["guess"])
    return _conditional(evaluated, query, lambda part: _answer(evaluated, query, part, cell))


@blueprint.route("/<job_id>/evaluation.png")
@blueprint.arguments(PartQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def png(query: dict[str, Any], job_id: str) -> Response:
    """Get the confusion matrix and the reliability diagram as a picture"""
    return _picture(job_id, query, "png", "image/png")


@blueprint.route("/<job_id>/evaluation.svg")
@blueprint.arguments(PartQuerySchema, location="query")
@blueprint.response(200, {"type": "string"}, content_type="image/svg+xml")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def svg(query: dict[str, Any], job_id: str) -> Response:
    """Get the confusion matrix and the reliability diagram as a vector picture"""
    return _picture(job_id, query, "svg", "image/svg+xml")


@blueprint.route("/<job_id>/calibrate", methods=["POST"])
@blueprint.response(200, CalibrationFactSchema)
def calibrate(job_id: str) -> Any:
    """Fit the temperature of an ended job that has none: its predictions divide the logits by it; no guess changes"""
    job, published = published_predictions(job_id)
    if job.facts and job.facts.calibration:
        return job.facts.calibration
    found = services().predictions.evaluate(published[PREDICTIONS], "validation").calibration
    job, _ = services().store.actions.calibrate(tenant(), job_id, CalibrationFact.of(found))
    if job.facts is None:
        raise Conflict("the job has no facts that a temperature could be added to")
    return job.facts.calibration


def _conditional(evaluated: Evaluated, query: Any, answer: Callable[[str], Response]) -> Response:
    """The answer for a part, or 304 without computing it. Its ETag depends on the predictions and the query."""
    tag = hashlib.sha256(json.dumps([evaluated.predictions.sha256, evaluated.has_images, query]).encode()).hexdigest()
    unchanged = Response()
    unchanged.set_etag(tag)
    unchanged.make_conditional(request)
    if unchanged.status_code != http.HTTPStatus.OK:
        return unchanged
    made = answer(evaluated.part(query["part"]))
    made.set_etag(tag)
    return made


def _answer(evaluated: Evaluated, query: dict[str, Any], part: str, cell: dict[str, int | None]) -> Response:
    found = evaluated.evaluation(part)
    if query["format"] == "csv":
        return _csv(evaluated.classes, found.scores.confusion.tolist())
    rows = found.mistakes(query["mistakes"], **cell).tolist()
    content = {
        "part": part,
        "parts": evaluated.parts,
        **document(found, evaluated.classes),
        "mistakes": mistakes(found, evaluated.classes, rows, evaluated.image),
    }
    if query["format"] == "text":
        return Response(evaluation_text.draw(content), mimetype="text/plain")
    return jsonify(content)


def _csv(classes: Sequence[str], confusion: list[list[int]]) -> Response:
    """The confusion matrix as CSV (RFC 4180): a row for each label, a column for each guess."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["label", *classes])
    table.writerows([label, *row] for label, row in zip(classes, confusion, strict=True))
    return Response(text.getvalue(), mimetype="text/csv")


def _picture(job_id: str, query: dict[str, Any], kind: str, mimetype: str) -> Response:
    evaluated = evaluated_job(job_id)

    def draw(part: str) -> Response:
        title = f"{evaluated.job.spec.name or evaluated.job.id}, {part} images"
        drawn = evaluation_picture.draw(title, evaluated.classes, evaluated.evaluation(part), kind)
        return Response(drawn, mimetype=mimetype)

    return _conditional(evaluated, query | {"picture": kind}, draw)
