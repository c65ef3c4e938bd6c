"""The resource /v1/jobs/{id}/logs: the log of a job's trainers."""

from typing import Any

from flask import Response

from service.api.blueprint import Blueprint
from service.core.records.job_log import Entry
from service.http.auth import tenant
from service.schemas.answer_fields import format_time
from service.schemas.logs import LogsQuerySchema, LogsSchema
from service.services import services

blueprint = Blueprint("logs", __name__, url_prefix="/v1/jobs", description="Log of the trainers")


@blueprint.route("/<job_id>/logs")
@blueprint.arguments(LogsQuerySchema, location="query")
@blueprint.response(200, LogsSchema)
@blueprint.alt_response(200, content_type="text/plain", schema={"type": "string"}, description="With ?format")
def logs(query: dict[str, Any], job_id: str) -> Any:
    """List the newest entries of a job's log, in order"""
    is_terminal, entries = services().store.queries.log(tenant(), job_id, query["after"], query["tail"])
    if query["format"] == "text":
        return Response("".join(map(_line, entries)), mimetype="text/plain")
    return {"data": entries, "is_terminal": is_terminal}


def _line(entry: Entry) -> str:
    return f"{format_time(entry.at)} attempt {entry.attempt} {entry.level}: {entry.message}\n"
