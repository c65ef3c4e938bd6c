"""The resources of a job's diagnosis: the verdict, the forks that it advises, and what became of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import request

from service.api.blueprint import Blueprint
from service.api.findings import case, diagnosed
from service.api.idempotency import idempotency, submitted
from service.core.actions.same_split import learnt_from
from service.core.diagnosis import Advice, Diagnosis
from service.core.errors import Invalid
from service.core.experiments.fork import Change, advised, changed
from service.core.records.epoch import Epoch
from service.core.records.job import Job
from service.core.records.submission import Origin
from service.http.auth import tenant
from service.http.links import job_links
from service.schemas.diagnosis import DiagnosisSchema, ForkSchema, LineageSchema
from service.schemas.job_requests import SUBMITTED, SubmitHeadersSchema
from service.schemas.jobs import JobSchema
from service.schemas.patches import read_spec
from service.services import services

blueprint = Blueprint("diagnosis", __name__, url_prefix="/v1/jobs", description="What the curves show, and the cure")
MORE_IMAGES = ("more_data", "collect")  # advice whose effect a learning curve tells


@blueprint.route("/<job_id>/diagnosis")
@blueprint.response(200, DiagnosisSchema)
def diagnosis(job_id: str) -> Any:
    """Why the losses are what they are, and what to change; live while the job trains"""
    return told(*services().store.queries.history(tenant(), job_id))


def told(job: Job, epochs: Sequence[Epoch]) -> dict[str, Any]:
    """What DiagnosisSchema shows of a job and its epochs."""
    found = diagnosed(job, epochs)
    return {
        **vars(found),
        "advice": [_with_curve(job, advice) for advice in _usable(job, found)],
        "test": _test(job),
        "waste": job.waste,
        "links": {"job": job_links(job.id)["self"], "docs": f"/docs/verdicts/{found.verdict}"},
    }


@blueprint.route("/<job_id>/fork", methods=["POST"])
@blueprint.arguments(SubmitHeadersSchema, location="headers")
@blueprint.arguments(ForkSchema)
@blueprint.response(202, JobSchema, description="Accepted; Location names the new job", headers=SUBMITTED)
def fork(headers: dict[str, Any], given: dict[str, Any], job_id: str) -> Any:
    """Submit a job with this job's spec, changed by an advice or by a patch; the seed, and so the split, stays"""
    parent = services().store.queries.get(tenant(), job_id)
    change = advised(case(parent), given["advice"]) if "advice" in given else Change(given["patch"])
    spec = read_spec(changed(parent.spec, change))
    origin = Origin(parent=parent.id, patch=change.patch, advice=change.advice)
    job, is_new = services().submission.submit(
        tenant(), spec, idempotency(headers["key"], [request.path, request.get_json()]), origin
    )
    return job, 202, submitted(job_links(job.id), is_new)


@blueprint.route("/<job_id>/lineage")
@blueprint.response(200, LineageSchema)
def lineage(job_id: str) -> Any:
    """The job's family: what it was forked from, and what was forked from those"""
    return {"data": services().store.queries.lineage(tenant(), job_id)}


def _usable(job: Job, found: Diagnosis) -> list[Advice]:
    """The advice whose spec this service would take."""
    return [advice for advice in found.advice if not advice.patch or _is_taken(job, advice.patch)]


def _with_curve(job: Job, advice: Advice) -> Advice:
    """Of more images, what the learning curve says, where there are runs to lay one through."""
    if advice.id not in MORE_IMAGES or job.facts is None or (curve := learnt_from(services().store, job)) is None:
        return advice
    return replace(advice, expected=f"{advice.expected}. {curve.words(job.facts.images['train'])}")


def _is_taken(job: Job, patch: list[dict[str, Any]]) -> bool:
    try:
        spec = read_spec(changed(job.spec, Change(patch)))
    except Invalid:
        return False
    return not services().submission.faults(job.tenant, spec)


def _test(job: Job) -> dict[str, Any] | None:
    if job.facts is None or job.facts.test is None or job.best is None:
        return None
    optimism, error = job.facts.test.optimism(job.best)
    return {
        **vars(job.facts.test), "optimism": optimism, "optimism_se": error,
        "earlier_jobs": services().store.queries.earlier_tests(job),
    }  # fmt: skip
