"""The resource /v1/jobs/{id}/predict."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from service.api.blueprint import Blueprint
from service.api.evaluated import evaluated_job
from service.api.form import Form, check_form
from service.core.errors import Conflict, Fault, Invalid
from service.core.evaluation.predictions import VALIDATION
from service.core.evaluation.similar import most_similar
from service.core.records.artifact_names import ONNX, PREDICTIONS, REPORT
from service.core.records.job import Job
from service.core.storage import Artifact
from service.core.text import control_character
from service.http.auth import tenant
from service.inference import Picture, Prediction
from service.schemas.predict import PredictionsSchema, PredictQuerySchema
from service.services import services

MOST_BYTES = 64 << 20
MOST_PICTURES = 100
PICTURE = {"type": "string", "format": "binary"}
BODY = {
    "required": True,
    "content": {
        "image/*": {"schema": PICTURE},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "array", "items": PICTURE, "maxItems": MOST_PICTURES}},
            }
        },
    },
}

blueprint = Blueprint("predict", __name__, url_prefix="/v1/jobs", description="Predictions of a trained model")


@blueprint.route("/<job_id>/predict", methods=["POST"])
@blueprint.arguments(PredictQuerySchema, location="query")
@blueprint.response(200, PredictionsSchema)
@blueprint.doc(requestBody=BODY)
def predict(query: dict[str, Any], job_id: str) -> Any:
    """Classify one or more pictures with the best model of an ended job"""
    return {"data": predictions(job_id, query["similar"])}


def predictions(job_id: str, similar: int) -> list[dict[str, Any]]:
    """Classify the pictures of this request. For each, name the `similar` validation images most like it.

    Raises NotFound, Conflict without a model, Invalid, and TooMany.
    """
    job = services().store.queries.get(tenant(), job_id)
    temperature = job.facts.calibration.temperature if job.facts and job.facts.calibration else 1.0
    published = {artifact.name: artifact for artifact in services().store.queries.artifacts(tenant(), job_id)}
    if not {ONNX, REPORT} <= published.keys():
        raise Conflict(f"the job is {job.status} and has published no {ONNX}")
    pictures = _pictures()  # before a place is taken: a slow body must not hold one
    with services().predicting.hold(tenant(), "too many predictions are running; try again"):
        found = services().predictor.predict(published[ONNX], published[REPORT], pictures, temperature)
        like = _similar(job, published, found, similar) if similar and PREDICTIONS in published else [[]] * len(found)
    return [{**vars(one), "similar": images} for one, images in zip(found, like, strict=True)]


def _similar(
    job: Job, published: Mapping[str, Artifact], found: Sequence[Prediction], most: int
) -> list[list[dict[str, Any]]]:
    """The validation images that are most like each picture."""
    evaluated = evaluated_job(job, published)
    kept = services().predictions.read(published[PREDICTIONS]).of(VALIDATION)
    return [
        [
            {
                "index": int(kept.index[row]),
                "label": evaluated.classes[kept.label[row]],
                "similarity": similarity,
                "image": evaluated.image(int(kept.index[row])),
            }
            for row, similarity in most_similar(kept, one.logits, most)
        ]
        for one in found
    ]


def _pictures() -> list[Picture]:
    request.max_content_length = MOST_BYTES
    if request.mimetype.startswith("image/"):
        return [Picture("body", request.get_data())]
    if request.mimetype != "multipart/form-data":
        detail = f"send one picture as image/…, or several as multipart/form-data; this is {request.mimetype!r}"
        raise UnsupportedMediaType(detail)
    check_form(Form(request.files, request.form), files=("file",), most=MOST_PICTURES)
    sent = request.files.getlist("file")
    if not sent:
        raise Invalid([Fault("/file", "the form has no file", f"1 to {MOST_PICTURES} files in the field file")])
    names = [file.filename or f"file {i}" for i, file in enumerate(sent)]
    faults = [
        Fault(f"/{i}", f"the file name has the control character {found}", "any other characters")
        for i, name in enumerate(names)
        if (found := control_character(name))
    ]
    if faults:
        raise Invalid(faults)
    return [Picture(name, file.read()) for name, file in zip(names, sent, strict=True)]
