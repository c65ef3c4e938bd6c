"""Jobs that several processes train: their memory, the workers that can hold them, and changes of their number."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.core.records.capacity import Capacity
from service.core.records.job import Failure, Outcome, Status, StopReason
from service.services import Services
from tests.service.api.requests import SPEC, expect_problem, submit
from tests.service.worker_steps import claim

SMALL = Capacity(threads=2, memory_bytes=8 << 30, version="1")


def memory(client: FlaskClient, **changes: Any) -> dict[str, int]:
    estimate: dict[str, int] = client.post("/v1/jobs?validate_only=true", json=SPEC | changes).get_json()["memory"]
    return estimate


def test_each_process_holds_the_activations_of_its_share(client: FlaskClient) -> None:
    alone, shared = memory(client, batch_size=64), memory(client, batch_size=64, gpus=4)
    assert shared["activations_bytes"] * 4 == alone["activations_bytes"]
    assert shared["model_bytes"] == alone["model_bytes"]


@pytest.mark.parametrize(("gpus", "pointer"), [(0, "/gpus"), (65, "/gpus"), ("two", "/gpus"), (3, "/batch_size")])
def test_bad_number_of_processes_is_refused(client: FlaskClient, gpus: Any, pointer: str) -> None:
    problem = expect_problem(client.post("/v1/jobs", json=SPEC | {"batch_size": 2, "gpus": gpus}), 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_job_has_a_shortfall_until_a_worker_can_hold_it(client: FlaskClient, services: Services) -> None:
    services.registry.heartbeat("small", 60, SMALL)
    job = submit(client, gpus=4)
    assert job["queue"]["shortfall"] == "no live worker is large enough; the largest has 2 of 4 cores"
    address = job["links"]["self"]
    (listed,) = client.get("/v1/jobs").get_json()["data"]
    assert listed["queue"] == job["queue"]
    tag = client.get(address).headers["ETag"]
    services.registry.heartbeat("large", 60, replace(SMALL, gpus=4, gpu_memory_bytes=1 << 34))
    fresh = client.get(address, headers={"If-None-Match": tag})
    assert fresh.status_code == 200
    assert fresh.get_json()["queue"]["shortfall"] is None


def test_paused_job_resumes_with_another_number_of_processes(client: FlaskClient, services: Services) -> None:
    job = submit(client, gpus=4)
    client.post(job["links"]["pause"])
    resumed = client.post(f"{job['links']['resume']}?gpus=2")
    assert resumed.status_code == 202
    assert resumed.get_json()["spec"] == job["spec"] | {"gpus": 2}
    lease = services.store.leases.claim("w", 60, SMALL)
    assert lease is not None
    assert lease.spec["gpus"] == 2


def test_failed_job_retries_with_another_number_of_processes(client: FlaskClient, services: Services) -> None:
    job = submit(client, gpus=2)
    error = Failure("infrastructure", "out_of_memory", "too much")
    services.store.leases.finish(claim(services), Outcome(Status.FAILED, StopReason.OUT_OF_MEMORY, error), [])
    again = client.post(f"{job['links']['retry']}?gpus=8").get_json()
    assert (again["status"], again["spec"]["gpus"]) == ("queued", 8)
    assert client.get(job["links"]["self"]).get_json()["spec"]["gpus"] == 8


@pytest.mark.parametrize(("asked", "status"), [("0", 422), ("65", 422), ("many", 422), ("10", 422)])
def test_bad_number_on_resume_leaves_the_job_paused(client: FlaskClient, asked: str, status: int) -> None:
    job = submit(client, batch_size=8)
    client.post(job["links"]["pause"])
    expect_problem(client.post(f"{job['links']['resume']}?gpus={asked}"), status)
    assert client.get(job["links"]["self"]).get_json()["status"] == "paused"


def test_running_job_cannot_change_its_number_of_processes(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    claim(services)
    client.post(job["links"]["pause"])
    expect_problem(client.post(f"{job['links']['resume']}?gpus=2"), 409)
