"""A job that several processes share: what it needs, who can hold it, and how their number is changed."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.core.records.capacity import Capacity
from service.core.records.job import Failure, Outcome, Status, StopReason
from service.services import Services
from tests.service.api.conftest import SPEC
from tests.service.api.test_api import claim, is_problem, submit

SMALL = Capacity(threads=2, memory_bytes=8 << 30, version="1")


def memory(client: FlaskClient, **changes: Any) -> dict[str, int]:
    found: dict[str, int] = client.post("/v1/jobs?validate_only=true", json=SPEC | changes).get_json()["memory"]
    return found


def test_each_process_keeps_the_activations_of_its_share(client: FlaskClient) -> None:
    alone, shared = memory(client, batch_size=64), memory(client, batch_size=64, gpus=4)
    assert shared["activations_bytes"] * 4 == alone["activations_bytes"]
    assert shared["model_bytes"] == alone["model_bytes"]


@pytest.mark.parametrize(("gpus", "pointer"), [(0, "/gpus"), (65, "/gpus"), ("two", "/gpus"), (3, "/batch_size")])
def test_what_cannot_be_shared_is_refused(client: FlaskClient, gpus: Any, pointer: str) -> None:
    problem = is_problem(client.post("/v1/jobs", json=SPEC | {"batch_size": 2, "gpus": gpus}), 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_a_job_that_no_worker_can_hold_says_so_until_one_can(client: FlaskClient, parts: Services) -> None:
    parts.registry.heartbeat("small", 60, SMALL)
    job = submit(client, gpus=4)
    assert job["queue"]["shortfall"] == "no live worker can hold it; the largest has 2 of 4 cores"
    address = job["links"]["self"]
    (listed,) = client.get("/v1/jobs").get_json()["data"]
    assert listed["queue"] == job["queue"]
    tag = client.get(address).headers["ETag"]
    parts.registry.heartbeat("large", 60, replace(SMALL, gpus=4, gpu_memory_bytes=1 << 34))
    fresh = client.get(address, headers={"If-None-Match": tag})
    assert fresh.status_code == 200
    assert fresh.get_json()["queue"]["shortfall"] is None


def test_a_paused_job_goes_on_with_another_number_of_processes(client: FlaskClient, parts: Services) -> None:
    job = submit(client, gpus=4)
    client.post(job["links"]["pause"])
    resumed = client.post(f"{job['links']['resume']}?gpus=2")
    assert resumed.status_code == 202
    assert resumed.get_json()["spec"] == job["spec"] | {"gpus": 2}
    lease = parts.store.leases.claim("w", 60, SMALL)
    assert lease is not None
    assert lease.spec["gpus"] == 2


def test_a_failed_job_is_tried_again_with_another_number(client: FlaskClient, parts: Services) -> None:
    job = submit(client, gpus=2)
    error = Failure("infrastructure", "out_of_memory", "too much")
    parts.store.leases.finish(claim(parts), Outcome(Status.FAILED, StopReason.OUT_OF_MEMORY, error), [])
    again = client.post(f"{job['links']['retry']}?gpus=8").get_json()
    assert (again["status"], again["spec"]["gpus"]) == ("queued", 8)
    assert client.get(job["links"]["self"]).get_json()["spec"]["gpus"] == 8


@pytest.mark.parametrize(("asked", "status"), [("0", 422), ("65", 422), ("many", 422), ("10", 422)])
def test_a_number_that_cannot_be_leaves_the_job_as_it_was(client: FlaskClient, asked: str, status: int) -> None:
    job = submit(client, batch_size=8)
    client.post(job["links"]["pause"])
    is_problem(client.post(f"{job['links']['resume']}?gpus={asked}"), status)
    assert client.get(job["links"]["self"]).get_json()["status"] == "paused"


def test_a_job_that_runs_is_not_shared_anew(client: FlaskClient, parts: Services) -> None:
    job = submit(client)
    claim(parts)
    client.post(job["links"]["pause"])
    is_problem(client.post(f"{job['links']['resume']}?gpus=2"), 409)
