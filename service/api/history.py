"""The resource /v1/jobs/{id}/history."""

import csv
import http
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask import Response, jsonify, make_response, request

from service.api.blueprint import Blueprint
from service.api.case import diagnose_job
from service.api.tagged import tagged
from service.core.records.downsample import sampled
from service.core.records.epoch import COLUMNS, Epoch
from service.http.auth import tenant
from service.rendering import curves_png, curves_text
from service.schemas.history import HistoryQuerySchema, HistorySchema
from service.services import services

blueprint = Blueprint("history", __name__, url_prefix="/v1/jobs", description="Losses by epoch")


@blueprint.route("/<job_id>/history")
@blueprint.arguments(HistoryQuerySchema, location="query")
@blueprint.response(200, HistorySchema)
@blueprint.alt_response(200, content_type="text/csv", schema={"type": "string"}, description="With ?format")
@blueprint.alt_response(200, content_type="text/plain", schema={"type": "string"}, description="With ?format")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def history(query: dict[str, Any], job_id: str) -> Response:
    """List the epochs of a job, in order"""
    if query["format"] == "text":
        return _text(job_id, query["after_epoch"])
    mark = services().store.queries.mark(tenant(), job_id)
    return tagged(f"{mark.version}", lambda: _read(job_id, query))


def _read(job_id: str, query: dict[str, Any]) -> tuple[str, Response]:
    """The later epochs of a job with their ETag, which is the job's version."""
    curve = services().store.queries.curve(tenant(), job_id, query["after_epoch"])
    if query["format"] == "csv":
        return f"{curve.version}", _csv(curve.epochs)
    epochs = sampled(curve.epochs, query["max_points"]) if query["max_points"] else curve.epochs
    average = asdict(curve.average) if curve.average else None
    answer = jsonify(
        data=[vars(epoch) for epoch in epochs], best=_plain(curve.best), last=_plain(curve.last), average=average
    )
    return f"{curve.version}", answer


@blueprint.route("/<job_id>/history.png")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def png(job_id: str) -> Response:
    """Get the losses as a picture"""
    return _picture(job_id, "png", "image/png")


@blueprint.route("/<job_id>/history.svg")
@blueprint.response(200, {"type": "string"}, content_type="image/svg+xml")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def svg(job_id: str) -> Response:
    """Get the losses as a vector picture"""
    return _picture(job_id, "svg", "image/svg+xml")


def _picture(job_id: str, kind: str, mimetype: str) -> Response:
    job, epochs = services().store.queries.history(tenant(), job_id)
    answer = Response(mimetype=mimetype)
    answer.set_etag(f"{job.version}-{kind}")
    answer.make_conditional(request)
    if answer.status_code == http.HTTPStatus.OK:
        answer.data = curves_png.draw(job, epochs, diagnose_job(job, epochs), kind)
    return answer


def _text(job_id: str, after_epoch: int) -> Response:
    """The curves of the later epochs as text, with the verdict on all epochs."""
    job, epochs = services().store.queries.history(tenant(), job_id)
    diagnosis = diagnose_job(job, epochs)
    title = f"cross entropy per image: {curves_png.verdict(diagnosis)}"
    later = [epoch for epoch in epochs if epoch.epoch > after_epoch]
    return Response(curves_text.draw(later, job.best, title, diagnosis.onset_epoch), mimetype="text/plain")


def _plain(epoch: Epoch | None) -> dict[str, Any] | None:
    """An epoch as EpochSchema describes it. Its fields are JSON already, and a history can have thousands of epochs."""
    return vars(epoch) if epoch else None


def _csv(epochs: Sequence[Epoch]) -> Response:
    """The epochs as CSV (RFC 4180) with a header line; null is an empty field."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS)
    table.writeheader()
    table.writerows(asdict(epoch) for epoch in epochs)
    answer = make_response(text.getvalue())
    answer.mimetype = "text/csv"
    return answer
