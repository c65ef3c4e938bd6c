"""The predictions of a cross-validation, each by a model that was not trained on the image, and their evaluation."""

import hashlib
import tempfile
from contextlib import ExitStack
from typing import Any

from flask import Response

from service.api.artifacts import BINARY, PARTIAL, send
from service.api.blueprint import Blueprint
from service.api.evaluated import Evaluated, evaluated
from service.api.evaluation_answers import draw, respond
from service.core.errors import Conflict, Fault, Invalid
from service.core.records.artifact_names import LABELS, PREDICTIONS
from service.core.records.folds import CrossValidation, FoldRun
from service.core.storage import Artifact
from service.core.text import counted
from service.http.auth import tenant
from service.predictions import OutOfFold
from service.schemas.evaluation import EvaluationSchema
from service.schemas.folds import FoldsEvaluationQuerySchema, FoldsPictureQuerySchema, OfSeedSchema
from service.services import services

blueprint = Blueprint(
    "out_of_fold", __name__, url_prefix="/v1/folds", description="Predictions of cross-validations and their evaluation"
)


@blueprint.route("/<folds_id>/predictions.npz")
@blueprint.arguments(OfSeedSchema, location="query")
@blueprint.response(200, BINARY, content_type="application/octet-stream")
@blueprint.alt_response(206, **PARTIAL)
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def predictions(query: dict[str, Any], folds_id: str) -> Response:
    """Download the out-of-fold predictions: the arrays part, index, label and logits, as in predictions.npz of a job

    Each image outside of the test part is there once for each seed. The order is seed by seed, fold by fold.
    """
    found, runs = _ended(folds_id, query["seed"])
    source = _out_of_fold(runs)
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        services().predictions.write(source, file)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        answer = send(
            Artifact(PREDICTIONS, f"{found.id}/{PREDICTIONS}", size, digest, "application/octet-stream"), file
        )
        stack.pop_all()  # the answer closes the file
    return answer


@blueprint.route("/<folds_id>/evaluation")
@blueprint.arguments(FoldsEvaluationQuerySchema, location="query")
@blueprint.response(200, EvaluationSchema)
@blueprint.alt_response(200, content_type="text/csv", schema={"type": "string"}, description="With ?format")
@blueprint.alt_response(200, content_type="text/plain", schema={"type": "string"}, description="With ?format")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def evaluation(query: dict[str, Any], folds_id: str) -> Response:
    """Evaluate the out-of-fold predictions of an ended cross-validation, image by image

    With several seeds, an image is counted once for each seed, as if these were different images. The intervals are too
    narrow then; with ?seed= they are right.
    """
    return respond(_evaluated(folds_id, query["seed"]), query)


@blueprint.route("/<folds_id>/evaluation.png")
@blueprint.arguments(FoldsPictureQuerySchema, location="query")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="image/png")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def png(query: dict[str, Any], folds_id: str) -> Response:
    """Get the confusion matrix and the reliability diagram of the out-of-fold predictions as a picture"""
    return draw(_evaluated(folds_id, query["seed"]), query, "png")


@blueprint.route("/<folds_id>/evaluation.svg")
@blueprint.arguments(FoldsPictureQuerySchema, location="query")
@blueprint.response(200, {"type": "string"}, content_type="image/svg+xml")
@blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
def svg(query: dict[str, Any], folds_id: str) -> Response:
    """Get the confusion matrix and the reliability diagram of the out-of-fold predictions as a vector picture"""
    return draw(_evaluated(folds_id, query["seed"]), query, "svg")


def _evaluated(folds_id: str, seed: int | None) -> Evaluated:
    found, runs = _ended(folds_id, seed)
    title = f"{found.spec['name'] or found.id}, {found.folds} folds"
    labels = services().store.queries.published(tenant(), [run.id for run in runs], LABELS)
    return evaluated(title, found.spec["dataset"]["id"], _out_of_fold(runs), next(iter(labels.values()), None))


def _ended(folds_id: str, seed: int | None) -> tuple[CrossValidation, list[FoldRun]]:
    """A cross-validation and its runs under a seed, or all of them.

    Raises NotFound, Invalid for another seed, and Conflict unless every fold has a result.
    """
    found, every = services().folds.get(tenant(), folds_id)
    if seed is not None and seed not in found.seeds:
        allowed = ", ".join(map(str, found.seeds))
        raise Invalid([Fault("/seed", f"{seed} is not a seed of this cross-validation", allowed)])
    wanted = found.seeds if seed is None else (seed,)
    runs = [run for run in every if run.seed in wanted]
    missing = [run for run in runs if not run.is_whole]
    if missing:
        first = missing[0]
        detail = f"fold {first.fold} of seed {first.seed} has no result: job {first.id} is {first.status}"
        raise Conflict(f"{detail}; {len(runs) - len(missing)} of {found.folds * len(wanted)} folds have one")
    if len(runs) < found.folds * len(wanted):
        deleted = counted(found.folds * len(wanted) - len(runs), "job")
        raise Conflict(f"the predictions of {deleted} of the cross-validation were deleted")
    return found, runs


def _out_of_fold(runs: list[FoldRun]) -> OutOfFold:
    published = services().store.queries.published(tenant(), [run.id for run in runs], PREDICTIONS)
    for run in runs:
        if run.id not in published:
            raise Conflict(f"job {run.id} has published no {PREDICTIONS}")
    return OutOfFold(tuple(published[run.id] for run in runs))
