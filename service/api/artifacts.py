"""The resource /v1/jobs/{id}/artifacts."""

import re
from typing import Any

from flask import Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import wrap_file

from service.api.blueprint import Blueprint
from service.core.errors import NotFound, StorageError
from service.core.records.artifact_names import JSON_ARTIFACTS
from service.http.auth import tenant
from service.schemas.artifacts import ManifestSchema
from service.services import services

SINGLE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

blueprint = Blueprint("artifacts", __name__, url_prefix="/v1/jobs", description="What a job published")


@blueprint.route("/<job_id>/artifacts")
@blueprint.response(200, ManifestSchema)
def manifest(job_id: str) -> Any:
    """The manifest: name, size, SHA-256 and media type of each file"""
    return {"data": services().store.queries.artifacts(tenant(), job_id)}


@blueprint.route("/<job_id>/artifacts/<name>")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/octet-stream")
@blueprint.alt_response(
    200, schema={"type": "object"}, content_type="application/json", description=", ".join(sorted(JSON_ARTIFACTS))
)
@blueprint.alt_response(206, description="The bytes that Range asked for", success=True)
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def artifact(job_id: str, name: str) -> Response:
    """Download a file, whole or in part (Range); its ETag is its SHA-256"""
    found = {entry.name: entry for entry in services().store.queries.artifacts(tenant(), job_id)}
    if name not in found:
        raise NotFound(f"the job has no artifact {name!r}; it has: {', '.join(found) or 'none yet'}")
    entry = found[name]
    try:
        file = services().storage.open(entry.key)
    except StorageError:
        services().store.queries.get(tenant(), job_id)  # raises NotFound where the job was deleted meanwhile
        raise
    wanted = _usable_range(entry.bytes)
    request.environ.pop("HTTP_RANGE", None)
    if wanted:
        request.environ["HTTP_RANGE"] = wanted
    try:
        answer = Response(wrap_file(request.environ, file), mimetype=entry.media_type, direct_passthrough=True)
        answer.call_on_close(file.close)
        answer.content_length = entry.bytes
        answer.headers.set("Content-Disposition", "attachment", filename=entry.name)
        answer.set_etag(entry.sha256)
        answer.make_conditional(request, accept_ranges=True, complete_length=entry.bytes)
    except HTTPException:  # a Range that cannot be satisfied
        file.close()
        raise
    return answer


def _usable_range(size: int) -> str:
    """The request's Range if it is one that we serve, a single one of bytes, else nothing: others are to be ignored,
    as is any under an If-Range with a weak tag. More from the end than there is means all (RFC 9110, section 14).
    """
    found = SINGLE_RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or request.headers.get("If-Range", "").startswith("W/"):
        return ""
    first, last = found.groups()
    if not first and last and int(last) > size:
        return "bytes=0-"
    backwards = first and last and int(first) > int(last)
    return found[0] if (first or last) and not backwards else ""
