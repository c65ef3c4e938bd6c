"""The resource /v1/jobs/{id}/artifacts."""

import re
from typing import Any, BinaryIO

from flask import Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import is_resource_modified, quote_etag
from werkzeug.wsgi import wrap_file

from service.api.blueprint import Blueprint, View
from service.core.errors import NotFound, StorageError
from service.core.records.artifact_names import JSON_ARTIFACTS
from service.core.storage import Artifact
from service.http.auth import tenant
from service.schemas.artifacts import ManifestSchema
from service.services import services

SINGLE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
BINARY = {"type": "string", "format": "binary"}
PARTIAL: dict[str, Any] = {  # the documented answer to a Range
    "schema": BINARY,
    "content_type": "application/octet-stream",
    "description": "The requested range of bytes",
    "success": True,
}

blueprint = Blueprint("artifacts", __name__, url_prefix="/v1/jobs", description="The files of a job")


@blueprint.route("/<job_id>/artifacts")
@blueprint.response(200, ManifestSchema)
def manifest(job_id: str) -> Any:
    """List the files of a job: name, size, SHA-256 and media type"""
    return {"data": services().store.queries.artifacts(tenant(), job_id)}


def answers_file(view: View) -> View:
    """Document the answers of a view that sends a file of a job."""
    answers = (
        blueprint.response(200, BINARY, content_type="application/octet-stream"),
        blueprint.alt_response(
            200,
            schema={"type": "object"},
            content_type="application/json",
            description=", ".join(sorted(JSON_ARTIFACTS)),
        ),
        blueprint.alt_response(206, **PARTIAL),
        blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True),
    )
    for answer in reversed(answers):
        view = answer(view)
    return view


@blueprint.route("/<job_id>/artifacts/<name>")
@answers_file
def artifact(job_id: str, name: str) -> Response:
    """Download a file or a range of it; its ETag is its SHA-256"""
    return send_artifact(job_id, name)


def send_artifact(job_id: str, name: str) -> Response:
    """Answer with a file of a job, or the requested range of it. Raises NotFound and StorageError."""
    entries = {entry.name: entry for entry in services().store.queries.artifacts(tenant(), job_id)}
    if name not in entries:
        raise NotFound(f"the job has no artifact {name!r}; it has: {', '.join(entries) or 'none yet'}")
    return send(entries[name], open_artifact(job_id, entries[name]))


def send(entry: Artifact, file: BinaryIO) -> Response:
    """Answer with a file that an artifact describes, or the requested range of it; the answer closes the file."""
    usable = _usable_range(entry)
    request.environ.pop("HTTP_RANGE", None)
    if usable:
        request.environ["HTTP_RANGE"] = usable
    try:
        answer = Response(wrap_file(request.environ, file), mimetype=entry.media_type, direct_passthrough=True)
        answer.call_on_close(file.close)
        answer.content_length = entry.bytes
        answer.headers["Content-Disposition"] = "attachment"  # without a name, so that a link can give one
        answer.set_etag(entry.sha256)
        answer.make_conditional(request, accept_ranges=True, complete_length=entry.bytes)
    except HTTPException:  # the Range cannot be satisfied
        file.close()
        raise
    return answer


def open_artifact(job_id: str, artifact: Artifact) -> BinaryIO:
    """The content of a file of the job. Raises NotFound if the job was deleted in the meantime, else StorageError."""
    try:
        return services().storage.open(artifact.key)
    except StorageError:
        services().store.queries.get(tenant(), job_id)
        raise


def _usable_range(artifact: Artifact) -> str:
    """The request's Range if it is a single range of bytes, else an empty string (RFC 9110, section 14).

    Other ranges are ignored, and so is a Range under an If-Range with a weak tag, or where If-Match or If-None-Match
    rule out a body (section 13.2.2). A suffix longer than the file selects the whole file.
    """
    match = SINGLE_RANGE.fullmatch(request.headers.get("Range", ""))
    has_body = is_resource_modified(request.environ, etag=quote_etag(artifact.sha256))
    if match is None or not has_body or request.headers.get("If-Range", "").startswith("W/"):
        return ""
    first, last = match.groups()
    if not first and last and int(last) > artifact.bytes:
        return "bytes=0-"
    backwards = first and last and int(first) > int(last)
    return match[0] if (first or last) and not backwards else ""
