"""The resource /v1/ablations."""

from types import SimpleNamespace
from typing import Any

from flask import request
from flask.views import MethodView

from service.api.blueprint import Blueprint
from service.api.cancel import cancel_all
from service.api.idempotency import idempotency, submitted
from service.api.pairs import effects_by_image
from service.core.actions.submit import from_request
from service.core.experiments.conclusions import conclude
from service.core.experiments.design import Designer
from service.core.records.experiment import ExperimentStatus
from service.http.auth import tenant
from service.http.json_body import json_body
from service.schemas.ablations import (
    AblationListSchema,
    AblationRequestSchema,
    AblationSchema,
    links,
    to_answer,
)
from service.schemas.job_requests import SUBMITTED, SubmitHeadersSchema
from service.schemas.pages import PageQuerySchema, cursor
from service.schemas.patches import read_spec
from service.services import services

blueprint = Blueprint(
    "ablations",
    __name__,
    url_prefix="/v1/ablations",
    description="Effects of regularizers over several seeds",
)


@blueprint.route("")
class Ablations(MethodView):
    @blueprint.arguments(PageQuerySchema, location="query")
    @blueprint.response(200, AblationListSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List ablations, newest first"""
        page = services().ablations.list(tenant(), **query)
        return {"data": page.items, "has_more": page.next_seq is not None, "next_cursor": cursor(page.next_seq)}

    @blueprint.arguments(SubmitHeadersSchema, location="headers")
    @blueprint.arguments(AblationRequestSchema)
    @blueprint.response(202, AblationSchema, description="Accepted; all jobs are queued", headers=SUBMITTED)
    def post(self, headers: dict[str, Any], given: dict[str, Any]) -> Any:
        """Run a spec without factors, with each one and with all of them, under several seeds"""
        key = idempotency(headers["key"], [request.path, json_body()])
        if key and (known := services().ablations.submitted_with(tenant(), key)):
            return _answer(known), 202, submitted(links(known), is_new=False)
        design = Designer(services().submission, read_spec).design(tenant(), **given)
        ablation_id, job_ids = services().ablations.add(tenant(), design, key, from_request())
        services().submission.hint_all(job_ids)
        return _answer(ablation_id), 202, submitted(links(ablation_id), is_new=True)


@blueprint.route("/<ablation_id>")
class OneAblation(MethodView):
    @blueprint.response(200, AblationSchema)
    def get(self, ablation_id: str) -> Any:
        """Get an ablation with its results so far"""
        return _answer(ablation_id)

    @blueprint.response(204)
    def delete(self, ablation_id: str) -> None:
        """Delete an ablation whose jobs have all ended; the jobs stay"""
        services().ablations.delete(tenant(), ablation_id)


@blueprint.route("/<ablation_id>/cancel", methods=["POST"])
@blueprint.response(202, AblationSchema, description="Its jobs are cancelled or will stop")
@blueprint.alt_response(200, schema=AblationSchema, description="All of its jobs had ended; nothing changes")
def cancel(ablation_id: str) -> Any:
    """Cancel all jobs of an ablation that have not ended"""
    ablation, runs = services().ablations.get(tenant(), ablation_id)
    if ablation.status is not ExperimentStatus.RUNNING:
        return _answer(ablation_id), 200
    cancel_all(tenant(), [(run.id, run.status) for run in runs])
    return _answer(ablation_id), 202


def _answer(ablation_id: str) -> SimpleNamespace:
    conclusions = conclude(*services().ablations.get(tenant(), ablation_id))
    is_running = conclusions.ablation.status is ExperimentStatus.RUNNING
    return to_answer(conclusions, {} if is_running else effects_by_image(tenant(), conclusions))
