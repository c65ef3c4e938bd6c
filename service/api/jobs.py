"""The resource /v1/jobs."""

import math
import time
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from flask import Response, make_response, request
from flask.views import MethodView

from service.api.blueprint import Blueprint
from service.api.cancel import cancel_job
from service.api.epoch_times import planned_time
from service.api.idempotency import idempotency, submitted
from service.api.recipes import chosen
from service.api.tagged import tagged
from service.core.actions.delete import delete_job
from service.core.records.job import Job, Mark, Status
from service.core.records.plan import Plan
from service.core.spec import JobSpec
from service.http import turns
from service.http.auth import tenant
from service.http.json_body import json_body
from service.http.links import job_links
from service.schemas.job_requests import (
    SUBMITTED,
    JobsQuerySchema,
    SharedQuerySchema,
    SubmitHeadersSchema,
    SubmitQuerySchema,
    WaitQuerySchema,
)
from service.schemas.jobs import JobListSchema, JobSchema
from service.schemas.pages import cursor
from service.schemas.plan import JobPlanSchema
from service.schemas.spec import JobSpecSchema
from service.services import services

blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs", description="Training jobs")
JOB, PLAN = JobSchema(), JobPlanSchema()  # created once: creating a schema costs more than using it
LONGEST_SLEEP = 1.0  # seconds between two reads while waiting, in case a wake-up is lost


@blueprint.route("")
class Jobs(MethodView):
    @blueprint.arguments(JobsQuerySchema, location="query")
    @blueprint.response(200, JobListSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List jobs, newest first"""
        page = services().store.queries.list(tenant(), **query)
        return {"data": page.items, "has_more": page.next_seq is not None, "next_cursor": cursor(page.next_seq)}

    @blueprint.arguments(SubmitQuerySchema, location="query")
    @blueprint.arguments(SubmitHeadersSchema, location="headers")
    @blueprint.arguments(JobSpecSchema)
    @blueprint.response(202, JobSchema, description="Accepted", headers=SUBMITTED)
    @blueprint.alt_response(200, schema=JobPlanSchema, description="With validate_only: the plan of the job")
    def post(self, query: dict[str, Any], headers: dict[str, Any], spec: JobSpec) -> Any:
        """Submit a job"""
        if query["validate_only"]:
            plan = services().submission.plan(tenant(), spec)
            parts = SimpleNamespace(**vars(plan), recipe=chosen(json_body()), time=_time_of(plan))
            return make_response(PLAN.dump(parts), 200)
        job, is_new = services().submission.submit(tenant(), spec, idempotency(headers["key"], json_body()))
        return job, 202, submitted(job_links(job.id), is_new)


@blueprint.route("/<job_id>")
class OneJob(MethodView):
    @blueprint.arguments(WaitQuerySchema, location="query")
    @blueprint.response(200, JobSchema)
    @blueprint.alt_response(304, description="Unchanged since the ETag in If-None-Match", success=True)
    def get(self, query: dict[str, Any], job_id: str) -> Response:
        """Get a job, at once or when it changes"""
        known, mark = request.if_none_match, services().store.queries.mark(tenant(), job_id)
        if query["wait"] and not mark.is_terminal and (not known or known.contains_weak(_tag(mark))):
            mark = _wait_for_change(job_id, mark, query["wait"])
        return tagged(_tag(mark), lambda: _read(job_id))

    @blueprint.response(204)
    def delete(self, job_id: str) -> None:
        """Delete an ended job with all its files"""
        delete_job(services().store, services().storage, tenant(), job_id)


@blueprint.route("/<job_id>/cancel", methods=["POST"])
@blueprint.response(202, JobSchema, description="The job will stop; the best model so far is kept")
@blueprint.alt_response(200, schema=JobSchema, description="The job had ended; nothing changes")
def cancel(job_id: str) -> Any:
    """Cancel a job"""
    job, changed = cancel_job(tenant(), job_id)
    return job, 202 if changed or not job.is_terminal else 200


@blueprint.route("/<job_id>/pause", methods=["POST"])
@blueprint.response(202, JobSchema, description="Paused, or will stop at the next batch")
def pause(job_id: str) -> Any:
    """Pause a queued or running job; it keeps its progress"""
    return services().store.actions.pause(tenant(), job_id)[0]


@blueprint.route("/<job_id>/resume", methods=["POST"])
@blueprint.arguments(SharedQuerySchema, location="query")
@blueprint.response(202, JobSchema, description="Queued again; it continues at its last checkpoint")
def resume(query: dict[str, Any], job_id: str) -> Any:
    """Resume a paused job"""
    return _queued(*services().submission.resume(tenant(), job_id, query["gpus"]))


@blueprint.route("/<job_id>/retry", methods=["POST"])
@blueprint.arguments(SharedQuerySchema, location="query")
@blueprint.response(202, JobSchema, description="Queued again")
def retry(query: dict[str, Any], job_id: str) -> Any:
    """Run a failed job again, from its last checkpoint if only the infrastructure failed"""
    return _queued(*services().submission.retry(tenant(), job_id, query["gpus"]))


def _queued(job: Job, changed: bool) -> Job:
    if changed and job.status is Status.QUEUED:
        services().submission.hint(job)
    return job


def _time_of(plan: Plan) -> dict[str, Any] | None:
    """What a planned job takes, None where nothing is known."""
    contents = services().submission.contents(tenant(), plan.spec.dataset.id)
    of_epoch = planned_time(plan, contents) if contents else None
    if of_epoch is None:
        return None
    seconds = min(plan.spec.epochs * of_epoch.seconds, plan.spec.max_seconds or math.inf)
    return {"epoch_seconds": of_epoch.seconds, "seconds": seconds, "source": of_epoch.source}


def _read(job_id: str) -> tuple[str, Response]:
    """A job with its ETag."""
    job = services().store.queries.get(tenant(), job_id)
    return _tag(job.mark), make_response(JOB.dump(job))


def _tag(mark: Mark) -> str:
    """The ETag of a job: its version, its place in the queue and the reason why no worker can run it."""
    if mark.jobs_ahead is None:
        return f"{mark.version}"
    shortfall = sha256((mark.shortfall or "").encode()).hexdigest()[:8]
    return f"{mark.version}-{mark.jobs_ahead}-{shortfall}"


def _wait_for_change(job_id: str, before: Mark, seconds: float) -> Mark:
    """Wait until the job changes, for at most `seconds`; not at all when too many requests wait already."""
    owner, read = tenant(), services().store.queries.mark
    if not services().waiting.enter(owner):
        return before
    try:
        deadline = time.monotonic() + seconds
        with services().wakeups.listen(job_id) as wait:
            now = read(owner, job_id)
            while now == before and (left := deadline - time.monotonic()) > 0:
                turns.give_back()
                wait(min(left, LONGEST_SLEEP))
                now = read(owner, job_id)
        return now
    finally:
        services().waiting.leave(owner)
