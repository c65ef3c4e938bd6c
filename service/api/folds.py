"""The resource /v1/folds: cross-validations."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from flask import make_response, request
from flask.views import MethodView

from service.api.blueprint import Blueprint
from service.api.cancel import cancel_all
from service.api.idempotency import idempotency, submitted
from service.core.actions.submit import from_request
from service.core.experiments.folds import design_folds, results
from service.core.records.experiment import ExperimentStatus
from service.core.records.folds import FoldsDesign
from service.http.auth import tenant
from service.http.json_body import json_body
from service.schemas.folds import (
    FoldsListSchema,
    FoldsPlanSchema,
    FoldsRequestSchema,
    FoldsSchema,
    links,
    to_answer,
)
from service.schemas.job_requests import SUBMITTED, SubmitHeadersSchema, SubmitQuerySchema
from service.schemas.pages import PageQuerySchema, cursor
from service.services import services

blueprint = Blueprint(
    "folds",
    __name__,
    url_prefix="/v1/folds",
    description="Cross-validations: every image is validated once by a model that was not trained on it",
)
PLAN = FoldsPlanSchema()


@blueprint.route("")
class Folds(MethodView):
    @blueprint.arguments(PageQuerySchema, location="query")
    @blueprint.response(200, FoldsListSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List cross-validations, newest first"""
        page = services().folds.list(tenant(), **query)
        return {"data": page.items, "has_more": page.next_seq is not None, "next_cursor": cursor(page.next_seq)}

    @blueprint.arguments(SubmitQuerySchema, location="query")
    @blueprint.arguments(SubmitHeadersSchema, location="headers")
    @blueprint.arguments(FoldsRequestSchema)
    @blueprint.response(202, FoldsSchema, description="Accepted; all jobs are queued", headers=SUBMITTED)
    @blueprint.alt_response(200, schema=FoldsPlanSchema, description="With validate_only: the plan of the jobs")
    def post(self, query: dict[str, Any], headers: dict[str, Any], given: dict[str, Any]) -> Any:
        """Run a spec on each fold of its data set: the fold validates, the other folds train"""
        if query["validate_only"]:
            return make_response(PLAN.dump(_plan(design_folds(services().submission, tenant(), **given))), 200)
        key = idempotency(headers["key"], [request.path, json_body()])
        if key and (known := services().folds.submitted_with(tenant(), key)):
            return _answer(known), 202, submitted(links(known), is_new=False)
        design = design_folds(services().submission, tenant(), **given)
        folds_id, job_ids = services().folds.add(tenant(), design, key, from_request())
        services().submission.hint_all(job_ids)
        return _answer(folds_id), 202, submitted(links(folds_id), is_new=True)


@blueprint.route("/<folds_id>")
class OneCrossValidation(MethodView):
    @blueprint.response(200, FoldsSchema)
    def get(self, folds_id: str) -> Any:
        """Get a cross-validation with its results so far"""
        return _answer(folds_id)

    @blueprint.response(204)
    def delete(self, folds_id: str) -> None:
        """Delete a cross-validation whose jobs have all ended; the jobs stay"""
        services().folds.delete(tenant(), folds_id)


@blueprint.route("/<folds_id>/cancel", methods=["POST"])
@blueprint.response(202, FoldsSchema, description="Its jobs are cancelled or will stop")
@blueprint.alt_response(200, schema=FoldsSchema, description="All of its jobs had ended; nothing changes")
def cancel(folds_id: str) -> Any:
    """Cancel all jobs of a cross-validation that have not ended"""
    found, runs = services().folds.get(tenant(), folds_id)
    if found.status is not ExperimentStatus.RUNNING:
        return _answer(folds_id), 200
    cancel_all(tenant(), [(run.id, run.status) for run in runs])
    return _answer(folds_id), 202


def _answer(folds_id: str) -> SimpleNamespace:
    return to_answer(results(*services().folds.get(tenant(), folds_id)))


def _plan(design: FoldsDesign) -> SimpleNamespace:
    """The object that FoldsPlanSchema serializes."""
    first = design.jobs[0]
    spec = replace(first.spec, dataset=replace(first.spec.dataset, fold=None))
    shared = vars(first) | {"spec": spec}
    return SimpleNamespace(**shared, folds=design.folds, seeds=design.seeds, jobs=len(design.jobs))
