"""The resource /v1/diagnoses: runs that were trained elsewhere. Nothing is stored."""

import json
from dataclasses import replace
from itertools import islice
from typing import Any

from flask import request
from marshmallow import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from service.api.blueprint import Blueprint
from service.core.diagnosis import Verdict
from service.core.diagnosis.histories import MOST_BYTES, check_size, check_values, read
from service.core.errors import Fault, Invalid
from service.core.experiments.foreign_runs import (
    MOST_CLASSES,
    ForeignDiagnosis,
    KnownFacts,
    diagnose_reading,
    to_dict,
)
from service.core.spec import JobSpec
from service.http.auth import tenant
from service.http.json_body import MOST_FAULTS
from service.http.links import local
from service.schemas.diagnoses import DiagnoseQuerySchema, DiagnosisRequestSchema, ForeignDiagnosisSchema
from service.schemas.patches import read_spec
from service.schemas.problem import faults
from service.services import services

TYPES = (
    "application/json",
    "text/csv",
    "text/plain",
    "text/tab-separated-values",
    "application/x-ndjson",
    "application/jsonl",
    "application/octet-stream",
)
MOST_BESIDE = 2 << 20  # characters of what a JSON body says beside its epochs
FACTS = ("classes", "train_images", "validation_images", "label_counts")
BINARY = {"schema": {"type": "string", "format": "binary"}}
ANY_JSON = {"anyOf": [DiagnosisRequestSchema, {"type": "object"}, {"type": "array"}]}
BODY = {
    "required": True,
    "description": "A history as JSON, or a file as a framework writes it; its format is recognized by its content.",
    "content": {name: {"schema": ANY_JSON} if name == TYPES[0] else BINARY for name in TYPES},
}

blueprint = Blueprint("diagnoses", __name__, url_prefix="/v1", description="Diagnoses of runs trained elsewhere")


@blueprint.route("/diagnoses", methods=["POST"])
@blueprint.arguments(DiagnoseQuerySchema, location="query")
@blueprint.response(200, ForeignDiagnosisSchema)
@blueprint.doc(requestBody=BODY)
def diagnoses(query: dict[str, Any]) -> dict[str, Any]:
    """Diagnose a run that was trained elsewhere, by its loss history in the file of any framework; stores nothing"""
    data = _body()
    return to_answer(diagnose_file(data, query | members(data)))


def diagnose_file(data: bytes, known: dict[str, Any]) -> ForeignDiagnosis:
    """Diagnose the history in a file. `known` is what the schemas of requests load. Raises Invalid, TooMany."""
    spec = _spec(known["spec"]) if known.get("spec") is not None else None
    counts = known.get("label_counts")
    facts = {name: known.get(name) for name in FACTS} | {"label_counts": tuple(counts) if counts else None}
    with services().diagnosing.hold(tenant(), "too many histories are being diagnosed; try again"):
        reading = read(data, known.get("columns"), known.get("run"))
        return diagnose_reading(reading, KnownFacts(**facts, spec=spec), services().submission.limits)


def to_answer(diagnosis: ForeignDiagnosis) -> dict[str, Any]:
    """The object that ForeignDiagnosisSchema serializes."""
    return {**to_dict(diagnosis), "links": {"docs": local(f"/docs/verdicts/{Verdict(diagnosis.verdict)}")}}


def _body() -> bytes:
    """The file in the body. Raises werkzeug's 413 and 415."""
    if request.mimetype not in ("", *TYPES):
        raise UnsupportedMediaType(f"the body is {request.mimetype!r}; allowed: {', '.join(TYPES)}")
    request.max_content_length = MOST_BYTES
    data = request.get_data()
    if len(data) >= MOST_BYTES:  # werkzeug cuts a chunked body at the limit without an error
        raise RequestEntityTooLarge(f"the history must be smaller than {MOST_BYTES:,} bytes")
    return data


def members(data: bytes) -> dict[str, Any]:
    """What a JSON body says beside its epochs; nothing for the files of frameworks. Raises Invalid."""
    if b'"epochs"' not in data:
        return {}
    check_values(data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or not isinstance(document.get("epochs"), list):
        return {}
    epochs = document.pop("epochs")
    check_size(len(epochs), 0)
    if (size := len(json.dumps(document))) > MOST_BESIDE:  # before each member is looked at
        raise Invalid([Fault("", f"beside its epochs the JSON has {size:,} characters", f"at most {MOST_BESIDE:,}")])
    document["epochs"] = [{} if isinstance(row, dict) else row for row in epochs]  # the reader looks at their cells
    counts, schema = document.get("label_counts"), DiagnosisRequestSchema()
    if isinstance(counts, list) and len(counts) > MOST_CLASSES:
        raise Invalid([Fault("/label_counts", f"there are {len(counts):,} numbers", f"1 to {MOST_CLASSES:,} numbers")])
    try:
        loaded: dict[str, Any] = schema.load(document)
    except ValidationError as error:
        raise Invalid(list(islice(faults(error.messages, schema, document), MOST_FAULTS))) from error
    return {name: value for name, value in loaded.items() if name != "epochs" and value is not None}


def _spec(given: dict[str, Any]) -> JobSpec:
    """The spec of the run, whose data set may be unknown. Raises Invalid."""
    try:
        return read_spec({"dataset": {"id": "elsewhere"}, **given})
    except Invalid as error:
        raise Invalid([replace(fault, pointer=f"/spec{fault.pointer}") for fault in error.faults]) from error
