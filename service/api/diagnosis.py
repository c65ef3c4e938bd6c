"""The resources of a job's diagnosis: the verdict, forks that try its advice, and the family of forks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import request

from service.api.blueprint import Blueprint
from service.api.case import case_of, diagnose_with_past
from service.api.idempotency import idempotency, submitted
from service.api.pairs import pairs_with_parents
from service.core.actions.same_split import learning_curve_of
from service.core.diagnosis import Advice, Diagnosis
from service.core.errors import Invalid
from service.core.experiments.difference import interval
from service.core.experiments.fork import Change, advised, changed, keeping_weights
from service.core.records.artifact_names import PREDICTIONS
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.core.records.submission import Origin
from service.http.auth import tenant
from service.http.json_body import json_body
from service.http.links import job_links, local
from service.schemas.diagnosis import DiagnosisSchema, ForkSchema, LineageSchema
from service.schemas.job_requests import SUBMITTED, SubmitHeadersSchema
from service.schemas.jobs import JobSchema
from service.schemas.patches import read_spec
from service.services import services

blueprint = Blueprint("diagnosis", __name__, url_prefix="/v1/jobs", description="Diagnoses of the curves, and forks")
MORE_IMAGES = ("more_data", "collect")  # advice whose effect a learning curve predicts


@blueprint.route("/<job_id>/diagnosis")
@blueprint.response(200, DiagnosisSchema)
def diagnosis(job_id: str) -> Any:
    """Diagnose a job: what limits it and what to change; also while the job trains"""
    return to_answer(*services().store.queries.history(tenant(), job_id))


def to_answer(job: Job, epochs: Sequence[Epoch]) -> dict[str, Any]:
    """The object that DiagnosisSchema serializes."""
    diagnosis = diagnose_with_past(job, epochs)
    return {
        **vars(diagnosis),
        "advice": [_advice(job, _with_curve(job, advice)) for advice in _usable(job, diagnosis)],
        "test": _test(job),
        "average": job.facts.average if job.facts else None,
        "waste": job.waste,
        "links": {"job": job_links(job.id)["self"], "docs": local(f"/docs/verdicts/{diagnosis.verdict}")},
    }


@blueprint.route("/<job_id>/fork", methods=["POST"])
@blueprint.arguments(SubmitHeadersSchema, location="headers")
@blueprint.arguments(ForkSchema)
@blueprint.response(202, JobSchema, description="Accepted", headers=SUBMITTED)
def fork(headers: dict[str, Any], given: dict[str, Any], job_id: str) -> Any:
    """Submit a fork of a job: its spec with an advice or a patch, or a training that continues from its best model; the
    fork keeps the seed and the split"""
    parent = services().store.queries.get(tenant(), job_id)
    change = advised(case_of(parent), given["advice"]) if "advice" in given else Change(given.get("patch", []))
    if given["keep_weights"]:
        change = keeping_weights(change, parent.spec, parent.id)
    spec = read_spec(changed(parent.spec, change))
    origin = Origin(parent=parent.id, patch=change.patch, advice=change.advice)
    job, is_new = services().submission.submit(
        tenant(), spec, idempotency(headers["key"], [request.path, json_body()]), origin
    )
    return job, 202, submitted(job_links(job.id), is_new)


@blueprint.route("/<job_id>/lineage")
@blueprint.response(200, LineageSchema)
def lineage(job_id: str) -> Any:
    """List the job's family: its ancestors and all their forks"""
    family = services().store.queries.lineage(tenant(), job_id)
    differences = pairs_with_parents(tenant(), family)
    return {"data": [{**vars(kin), "against_parent": differences.get(kin.id)} for kin in family]}


def _usable(job: Job, diagnosis: Diagnosis) -> list[Advice]:
    """The advice whose spec this service accepts, and whose action the job has what it needs for."""
    return [
        advice
        for advice in diagnosis.advice
        if (_is_accepted(job, advice.patch) if advice.patch else not advice.action or _has_predictions(job))
    ]


def _has_predictions(job: Job) -> bool:
    published = services().store.queries.artifacts(job.tenant, job.id)
    return any(artifact.name == PREDICTIONS for artifact in published)


def _advice(job: Job, advice: Advice) -> dict[str, Any]:
    action = {"method": "POST", "href": job_links(job.id)[advice.action]} if advice.action else None
    return {**vars(advice), "action": action}


def _with_curve(job: Job, advice: Advice) -> Advice:
    """The advice, with the prediction of a learning curve if it is about more images and earlier runs allow one."""
    if advice.id not in MORE_IMAGES or job.facts is None or (curve := learning_curve_of(services().store, job)) is None:
        return advice
    return replace(advice, expected=f"{advice.expected}. {curve.words(job.facts.images['train'])}")


def _is_accepted(job: Job, patch: list[dict[str, Any]]) -> bool:
    try:
        spec = read_spec(changed(job.spec, Change(patch)))
    except Invalid:
        return False
    return not services().submission.faults(job.tenant, spec)


def _test(job: Job) -> dict[str, Any] | None:
    if job.facts is None or job.facts.test is None or job.kept is None:
        return None
    optimism, error = job.facts.test.optimism(job.kept)
    return {
        **vars(job.facts.test),
        "optimism": optimism,
        "optimism_se": error,
        "optimism_interval": interval(optimism, error),
        "earlier_jobs": services().store.queries.earlier_tests(job),
    }
