"""The resource /v1/jobs/{id}/export."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

from flask import Response
from zipstream import ZipStream

from service.api.artifacts import open_artifact
from service.api.blueprint import Blueprint
from service.core.errors import Conflict, ObjectMissing
from service.core.records.job import Job
from service.core.storage import Artifact
from service.core.storage.objects import BLOCK
from service.core.text.slug import slug
from service.http.auth import tenant
from service.rendering.export_readme import export_readme
from service.services import services

blueprint = Blueprint("export", __name__, url_prefix="/v1/jobs", description="All files of a job in one")


@blueprint.route("/<job_id>/export")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/zip")
def export(job_id: str) -> Response:
    """Download all files of a job as a zip, with a README.txt"""
    job = services().store.queries.get(tenant(), job_id)
    artifacts = services().store.queries.artifacts(tenant(), job_id)
    if not artifacts:
        raise Conflict(f"the job is {job.status} and has published no files")
    # The files are stored, not deflated: weights hardly shrink, and the length is known before the first byte. A
    # response that ends early, because the storage failed, is therefore shorter than its Content-Length.
    archive = ZipStream(sized=True)
    archive.add(export_readme(job, artifacts), "README.txt")
    with ExitStack() as opened:  # all files, before the answer starts: a missing one is a 503
        for artifact in artifacts:
            file = opened.enter_context(open_artifact(job_id, artifact))
            archive.add(_blocks(file, artifact), artifact.name, size=artifact.bytes)
        files = opened.pop_all()
    response = Response(iter(archive), mimetype="application/zip")
    response.call_on_close(files.close)
    response.content_length = len(archive)
    response.headers.set("Content-Disposition", "attachment", filename=_file_name(job))
    return response


def _blocks(file: BinaryIO, artifact: Artifact) -> Iterator[bytes]:
    """The content of a file. Raises StorageError, and ObjectMissing if it is not the file of the manifest."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
        yield block
    if digest.hexdigest() != artifact.sha256:
        raise ObjectMissing(f"{artifact.key} is damaged: its SHA-256 is not {artifact.sha256}")


def _file_name(job: Job) -> str:
    """The job's name and id in ASCII."""
    name = slug(job.spec.name)
    return f"{name}-{job.id}.zip" if name else f"{job.id}.zip"
