"""The resource /v1/fits: searches for the best model of a data set within a budget."""

import json
import time
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

from flask import Response, make_response, request
from flask.views import MethodView

from service.api.artifacts import answers_file, send_artifact
from service.api.blueprint import Blueprint
from service.api.cancel import cancel_all
from service.api.epoch_times import on_gpu, planned_time
from service.api.evaluated import evaluated_job, published_predictions
from service.api.evaluation_answers import as_text
from service.api.idempotency import idempotency, submitted
from service.api.zipped import zip_answer
from service.core.actions.submit import from_request
from service.core.errors import Conflict, Invalid, NotFound, StorageError
from service.core.experiments.fits.accept import Accepted, Acceptor, Asked
from service.core.experiments.fits.cost import TrialCost, trial_cost
from service.core.experiments.fits.learned import learned_effects
from service.core.experiments.fits.search import THE_BASE
from service.core.experiments.fits.standing import standings
from service.core.experiments.fits.trial_spec import of_trial
from service.core.experiments.fits.words import summary
from service.core.records.artifact_names import LABELS, ONNX
from service.core.records.fit import Fit
from service.core.records.submission import NewJob
from service.core.spec import build
from service.core.spec.parts import Webhook
from service.core.sql.fits import NewFit
from service.core.text.slug import slug
from service.core.webhooks.addresses import fault
from service.http.auth import tenant
from service.http.json_body import json_body
from service.rendering.ensemble_code import ENSEMBLE_CODE
from service.rendering.fit_report import report
from service.schemas.artifacts import ManifestSchema
from service.schemas.fit_request import FitRequestSchema, base_of
from service.schemas.fits import (
    FitListSchema,
    FitPlanSchema,
    FitSchema,
    LearnedSchema,
    links,
    to_answer,
    to_entry,
    to_plan,
)
from service.schemas.job_requests import SUBMITTED, SubmitHeadersSchema, SubmitQuerySchema
from service.schemas.pages import PageQuerySchema, cursor
from service.schemas.patches import read_spec
from service.services import services

blueprint = Blueprint(
    "fits",
    __name__,
    url_prefix="/v1/fits",
    description="Fits: searches for the best model of a data set within a number of minutes or jobs",
)
PLAN = FitPlanSchema()
USUAL_SLOTS = 2  # where no worker is alive


@blueprint.route("")
class AllFits(MethodView):
    @blueprint.arguments(PageQuerySchema, location="query")
    @blueprint.response(200, FitListSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List fits, newest first"""
        page = services().fits.list(tenant(), **query)
        found = [to_entry(fit) for fit in page.items]
        return {"data": found, "has_more": page.next_seq is not None, "next_cursor": cursor(page.next_seq)}

    @blueprint.arguments(SubmitQuerySchema, location="query")
    @blueprint.arguments(SubmitHeadersSchema, location="headers")
    @blueprint.arguments(FitRequestSchema)
    @blueprint.response(202, FitSchema, description="Accepted; the base is queued", headers=SUBMITTED)
    @blueprint.alt_response(200, schema=FitPlanSchema, description="With validate_only: what would be tried")
    def post(self, query: dict[str, Any], headers: dict[str, Any], given: dict[str, Any]) -> Any:
        """Search for the best model within a budget: train, diagnose, try changes, and keep the proven ones"""
        if query["validate_only"]:
            accepted = _accepted(given)
            return make_response(PLAN.dump(to_plan(accepted, _cost(accepted))), 200)
        key = idempotency(headers["key"], [request.path, json_body()])
        if key and (known := services().fits.submitted_with(tenant(), key)):
            return _answer(known), 202, submitted(links(known), is_new=False)
        fit_id, job_ids = services().fits.add(tenant(), _new(given, _accepted(given)), key, from_request())
        services().submission.hint_all(job_ids)
        return _answer(fit_id), 202, submitted(links(fit_id), is_new=True)


@blueprint.route("/learned")
class Learned(MethodView):
    @blueprint.response(200, LearnedSchema)
    def get(self) -> Any:
        """Get the effects of cures in your newest fits, which order the advice for your jobs and the next fits"""
        return {"data": learned_effects(services().lessons.newest(tenant()))}

    @blueprint.response(204)
    def delete(self) -> None:
        """Delete the stored results of your fits; the fits themselves stay"""
        services().lessons.clear(tenant())


@blueprint.route("/<fit_id>")
class OneFit(MethodView):
    @blueprint.response(200, FitSchema)
    def get(self, fit_id: str) -> Any:
        """Get a fit with its trials and decisions so far"""
        return _answer(fit_id)

    @blueprint.response(204)
    def delete(self, fit_id: str) -> None:
        """Delete an ended fit; its jobs stay"""
        services().fits.delete(tenant(), fit_id)


@blueprint.route("/<fit_id>/cancel", methods=["POST"])
@blueprint.response(202, FitSchema, description="Its jobs are cancelled or will stop; the best model so far is kept")
@blueprint.alt_response(200, schema=FitSchema, description="It had ended; nothing changes")
def cancel(fit_id: str) -> Any:
    """Cancel a fit and all of its jobs"""
    fit = services().fits.get(tenant(), fit_id)
    if fit.is_terminal:
        return _answer(fit_id), 200
    services().fits.cancel(tenant(), fit_id)
    cancel_all(tenant(), services().fits.jobs_of(tenant(), fit_id))
    return _answer(fit_id), 202


def _answer(fit_id: str) -> SimpleNamespace:
    fit = services().fits.get(tenant(), fit_id)
    return to_answer(fit, services().fits.results(fit), summary(fit), time.time())


def _accepted(given: dict[str, Any]) -> Accepted:
    """The request with everything resolved. Raises Invalid."""
    webhook, allowed = given["webhook"], services().submission.webhook_networks
    if webhook and (refused := fault(webhook["url"], allowed, "/webhook/url")):
        raise Invalid([refused])
    asked = Asked(
        spec=base_of(given),
        given=json_body().get("spec", {}) | {"dataset": json_body()["dataset"]},
        **{name: given[name] for name in ("minutes", "jobs", "space", "objective", "seeds", "ensemble")},
    )
    return Acceptor(services().submission, read_spec).accept(
        tenant(), asked, _slots(), services().lessons.newest(tenant()), lambda spec: on_gpu(spec.device)
    )


def _cost(accepted: Accepted) -> TrialCost | None:
    """What a usual trial costs, by the newest jobs; None where nothing is known."""
    of_base = planned_time(accepted.base, accepted.contents)
    return trial_cost(accepted.request, accepted.base.spec.epochs, of_base) if of_base else None


def _slots() -> int:
    """The number of jobs that the live workers train side by side."""
    alive = services().registry.live_workers(within=services().settings.lease_seconds)
    return sum(worker.slots for worker in alive.values()) or USUAL_SLOTS


def _new(given: dict[str, Any], accepted: Accepted) -> NewFit:
    """The fit to store, with the job of its base."""
    name, labels = given.get("name"), given.get("labels", {})
    planned = replace(accepted.base, spec=replace(accepted.base.spec, name=name and f"{name} · base", labels=labels))
    return NewFit(
        request=accepted.request,
        name=name,
        labels=labels,
        webhook=given["webhook"] and asdict(build(Webhook, given["webhook"])),
        base=of_trial(NewJob.planned(planned), accepted.request.slots),
        data={"why": THE_BASE.why, "candidate": asdict(THE_BASE), "epochs": planned.spec.epochs},
    )


@blueprint.route("/<fit_id>/artifacts")
@blueprint.response(200, ManifestSchema)
def manifest(fit_id: str) -> Any:
    """List the files of the kept model; the report fit.md is made at each request and is not in the list"""
    return {"data": services().store.queries.artifacts(tenant(), _kept(fit_id))}


@blueprint.route("/<fit_id>/artifacts/fit.md")
@blueprint.response(200, {"type": "string"}, content_type="text/markdown")
def fit_report(fit_id: str) -> Response:
    """Get the report: the trials with their reasons, the proof, and the cost"""
    fit = services().fits.get(tenant(), fit_id)
    results = services().fits.results(fit)
    text = report(fit, standings(fit, results), summary(fit), results, _evaluation(fit))
    return Response(text, mimetype="text/markdown")


def _evaluation(fit: Fit) -> str | None:
    """The evaluation of the kept model as text, on the test images if they were scored; None without a model or its
    predictions.
    """
    result = fit.result or {}
    if not (source := result.get("test") or result.get("best")):
        return None
    try:
        return as_text(evaluated_job(*published_predictions(source["job"])))
    except (Conflict, NotFound, StorageError):
        return None


@blueprint.route("/<fit_id>/artifacts/ensemble.zip")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type="application/zip")
def ensemble(fit_id: str) -> Response:
    """Download the models of the ensemble, with a program that averages their probabilities"""
    fit = services().fits.get(tenant(), fit_id)
    if not (found := (fit.result or {}).get("ensemble")):
        raise NotFound("the fit has no ensemble: it was not requested, the fit runs, or no leader improves on the best")
    ids = [member["job"] for member in found["members"]]
    models = services().store.queries.published(tenant(), ids, ONNX)
    if missing := [job_id for job_id in ids if job_id not in models]:
        raise NotFound(f"job {missing[0]} of the ensemble is gone, or has no {ONNX}")
    files = {f"{number}.onnx": (job_id, models[job_id]) for number, job_id in enumerate(ids, 1)}
    texts = {"ensemble.py": ENSEMBLE_CODE, "ensemble.json": json.dumps(found, indent=1)}
    labels = services().store.queries.published(tenant(), ids[:1], LABELS)
    if artifact := labels.get(ids[0]):
        files[LABELS] = (ids[0], artifact)
    return zip_answer(f"{slug(fit.name) or fit_id}-ensemble.zip", texts, files)


@blueprint.route("/<fit_id>/artifacts/<name>")
@answers_file
def artifact(fit_id: str, name: str) -> Response:
    """Download a file of the kept model or a range of it; its ETag is its SHA-256"""
    return send_artifact(_kept(fit_id), name)


def _kept(fit_id: str) -> str:
    """The id of the job whose model is kept. Raises Conflict for a running fit, and NotFound without a model."""
    fit = services().fits.get(tenant(), fit_id)
    if not fit.is_terminal:
        raise Conflict("the fit has not ended; its model is chosen at the end")
    if not (best := (fit.result or {}).get("best")):
        raise NotFound("the fit has ended without a model")
    return str(best["job"])
