"""The resource /v1/jobs/{id}/export."""

from flask import Response

from service.api.blueprint import Blueprint
from service.api.zipped import zip_answer
from service.core.errors import Conflict
from service.core.records.job import Job
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
    files = {artifact.name: (job_id, artifact) for artifact in artifacts}
    return zip_answer(_file_name(job), {"README.txt": export_readme(job, artifacts)}, files)


def _file_name(job: Job) -> str:
    """The job's name and id in ASCII."""
    name = slug(job.spec.name)
    return f"{name}-{job.id}.zip" if name else f"{job.id}.zip"
