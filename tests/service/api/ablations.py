"""Ablations as the tests request them, and the worker's part in them."""

import json
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from service.core.evaluation.predictions import Predictions
from service.core.records.job import Outcome, Status, StopReason
from service.core.records.lease import Lease
from service.services import Services
from tests.service.api.requests import SPEC, expect_problem
from tests.service.worker_steps import epoch, published_predictions

SHORT = [{"op": "replace", "path": "/epochs", "value": 1}]
DONE = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)
Losses = Callable[[str, int], float | None]


def create_ablation(client: FlaskClient, factors: list[Any], seeds: int = 2, **changes: Any) -> dict[str, Any]:
    """Create an ablation of SPEC with these changes."""
    answer = client.post("/v1/ablations", json={"spec": SPEC | changes, "factors": factors, "seeds": seeds})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json["links"]["self"]
    ablation: dict[str, Any] = json.loads(answer.text)
    return ablation


def get_ablation(client: FlaskClient, former: dict[str, Any]) -> dict[str, Any]:
    """An ablation as it is now, from an earlier answer."""
    answer = client.get(former["links"]["self"])
    assert answer.status_code == 200, answer.text
    ablation: dict[str, Any] = json.loads(answer.text)
    return ablation


def end_job(
    services: Services,
    lease: Lease,
    loss: float | None,
    outcome: Outcome = DONE,
    predictions: Predictions | None = None,
) -> None:
    """Record two epochs, the better one first (none where the loss is None), and the outcome."""
    if loss is not None:
        services.store.leases.append(lease, [epoch(1, loss, improved=True), epoch(2, loss + 1.0)])
    published = [] if predictions is None else [published_predictions(services, lease, predictions)]
    services.store.leases.finish(lease, outcome, published)


def run_jobs(services: Services, losses: Losses) -> None:
    """Run all queued jobs; `losses` gives the best validation loss by arm and seed."""
    while lease := services.store.leases.claim("worker", 60):
        job = services.store.queries.get("default", lease.job_id)
        assert job.arm is not None
        assert job.spec.seed is not None
        end_job(services, lease, losses(job.arm, job.spec.seed))


def faults_of(client: FlaskClient, body: Any) -> dict[str, str]:
    """Check that a request is refused and nothing is stored; returns the details of the faults by pointer."""
    problem = expect_problem(client.post("/v1/ablations", json=body), 422)
    assert all(fault["allowed"] for fault in problem["errors"])
    assert client.get("/v1/ablations").json["data"] == client.get("/v1/jobs").json["data"] == []
    return {fault["pointer"]: fault["detail"] for fault in problem["errors"]}


def request_of(factors: Any, **changes: Any) -> dict[str, Any]:
    return {"spec": SPEC | changes, "factors": factors}


def adding(path: str, value: Any) -> dict[str, Any]:
    """A factor whose patch adds a value."""
    return {"name": "x", "patch": [{"op": "add", "path": path, "value": value}]}
