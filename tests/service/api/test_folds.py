"""Cross-validations from the request to their scores, with the workers' part played by the test."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.core.experiments.statistics import t_quantile
from service.core.records.folds import MOST_SEEDS
from service.core.records.job import Failure, Outcome, Status, StopReason
from service.core.settings import Settings
from service.core.spec.parts import MOST_FOLDS
from service.services import Services
from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.folds import create_folds
from tests.service.api.requests import SPEC, expect_problem
from tests.service.api.uploads import ready
from tests.service.worker_steps import claim, epoch

DONE = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)
WITH_TEST = {"id": "digits", "test_fraction": 0.2}


def end(services: Services, loss: float | None, outcome: Outcome = DONE) -> None:
    """End the next job with this validation loss of its best epoch, or without an epoch."""
    lease = claim(services)
    if loss is not None:
        services.store.leases.append(lease, [epoch(1, loss, improved=True), epoch(2, loss + 1.0)])
    services.store.leases.finish(lease, outcome, [])


def test_each_fold_runs_under_each_seed_as_ordinary_job(client: FlaskClient, services: Services) -> None:
    created = create_folds(client, 3, 2, seed=2**32 - 1, dataset=WITH_TEST)
    assert (created["folds"], created["seeds"], created["status"]) == (3, [2**32 - 1, 0], "running")
    assert created["jobs"] == dict.fromkeys(Status, 0) | {"queued": 6}
    assert created["spec"]["dataset"]["fold"] is None
    expected = [(seed, fold) for seed in created["seeds"] for fold in range(3)]
    assert [(run["seed"], run["fold"]) for run in created["runs"]] == expected
    taken = [services.store.queries.get("default", claim(services).job_id) for _ in range(6)]
    assert [job.id for job in taken] == [run["id"] for run in created["runs"]]
    for job, (seed, fold) in zip(taken, expected, strict=True):
        spec = client.get(f"/v1/jobs/{job.id}").json["spec"]
        assert (spec["seed"], spec["dataset"]["fold"]) == (seed, {"of": 3, "index": fold})
    assert client.get(f"/v1/jobs/{taken[0].id}").json["folds"] == created["id"]
    assert len({job.split for job in taken}) == 6
    assert len({job.test_split for job in taken}) == 2, "all folds of a seed have the same test images"


def test_scores_are_means_over_the_folds_with_intervals(client: FlaskClient, services: Services) -> None:
    created = create_folds(client)
    assert created["scores"][0] == {"measure": "val_loss", "runs": 0, "mean": None, "deviation": None, "interval": None}
    end(services, 0.3)
    running = client.get(created["links"]["self"]).json
    assert (running["scores"][0]["mean"], running["scores"][0]["interval"]) == (0.3, None)
    assert running["summary"] == "1 of 3 jobs have ended. Too few results for an interval."
    end(services, 0.4)
    end(services, 0.5)
    ended = client.get(created["links"]["self"]).json
    loss, accuracy = ended["scores"][:2]
    half = t_quantile(0.95, 2) * 0.1 * (1 / 3 + 1 / 2) ** 0.5
    assert (ended["status"], loss["runs"], loss["mean"]) == ("done", 3, pytest.approx(0.4))
    assert loss["deviation"] == pytest.approx(0.1)
    assert loss["interval"] == pytest.approx([max(0.0, 0.4 - half), 0.4 + half])
    assert accuracy["interval"] == pytest.approx([0.8, 0.8])
    assert [run["best"]["val_loss"] for run in ended["runs"]] == [0.3, 0.4, 0.5]
    assert "val_loss 0.4 nats" in ended["summary"]


@ON_DISK
def test_a_run_that_was_cut_short_does_not_count(client: FlaskClient, services: Services) -> None:
    created = create_folds(client, 4)
    end(services, 0.5)
    end(services, 0.1, Outcome(Status.CANCELLED, StopReason.CANCELLED))
    end(services, 0.7, Outcome(Status.FAILED, StopReason.DIVERGED, Failure("user", "diverged", "too far")))
    end(services, None)
    ended = client.get(created["links"]["self"]).json
    assert (ended["status"], ended["scores"][0]["runs"], ended["scores"][0]["mean"]) == ("cancelled", 2, 0.6)


def test_folds_are_listed_cancelled_and_deleted(client: FlaskClient, services: Services) -> None:
    first, second = create_folds(client), create_folds(client, 2)
    page = client.get("/v1/folds?limit=1").json
    assert ([found["id"] for found in page["data"]], page["has_more"]) == ([second["id"]], True)
    rest = client.get(f"/v1/folds?limit=1&after={page['next_cursor']}").json["data"]
    assert [(found["id"], found["jobs"]["queued"]) for found in rest] == [(first["id"], 3)]
    assert "cancel the cross-validation first" in expect_problem(client.delete(first["links"]["self"]), 409)["detail"]
    answer = client.post(first["links"]["cancel"])
    assert (answer.status_code, answer.json["status"], answer.json["jobs"]["cancelled"]) == (202, "cancelled", 3)
    assert client.post(first["links"]["cancel"]).status_code == 200
    assert client.get(second["links"]["self"]).json["status"] == "running"
    assert client.delete(first["links"]["self"]).status_code == 204
    expect_problem(client.get(first["links"]["self"]), 404)
    assert client.get(f"/v1/jobs/{first['runs'][0]['id']}").json["status"] == "cancelled"


@ON_DISK
def test_validate_only_answers_the_plan_and_stores_nothing(client: FlaskClient) -> None:
    body = {"spec": SPEC | {"seed": 4, "dataset": {"id": "digits", "val_fraction": 0.3}}, "seeds": 2}
    plan = client.post("/v1/folds?validate_only=true", json=body)
    assert plan.status_code == 200
    assert (plan.json["folds"], plan.json["seeds"], plan.json["jobs"]) == (5, [4, 5], 10)
    assert plan.json["parameters"] > 0
    assert plan.json["spec"]["dataset"]["fold"] is None
    assert "dataset.val_fraction is not used: the fold has the validation images." in plan.json["warnings"]
    assert client.get("/v1/jobs").json["data"] == client.get("/v1/folds").json["data"] == []


@ON_DISK
@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/spec"]),
        ({"spec": SPEC, "folds": 1}, ["/folds"]),
        ({"spec": SPEC, "folds": 21, "seeds": 11}, ["/folds", "/seeds"]),
        ({"spec": SPEC, "seeds": 0, "size": 1}, ["/seeds", "/size"]),
        ({"spec": {"dataset": {"id": "digits", "fold": {}}}}, ["/spec/dataset/fold"]),
        ({"spec": {"dataset": {"id": "nothing"}}}, ["/spec/dataset/id"]),
        ({"spec": SPEC | {"schedule": {"warmup_epochs": 9}}, "folds": 0}, ["/folds", "/spec/schedule/warmup_epochs"]),
    ],
)
def test_bad_requests_name_every_fault(client: FlaskClient, body: dict[str, Any], pointers: list[str]) -> None:
    problem = expect_problem(client.post("/v1/folds", json=body), 422)
    assert sorted(fault["pointer"] for fault in problem["errors"]) == pointers
    assert all(fault["allowed"] for fault in problem["errors"])
    assert client.get("/v1/folds").json["data"] == []


def test_small_classes_allow_fewer_folds(client: FlaskClient, services: Services) -> None:
    dataset = ready(client, services, zipped(folders(each=3)))
    body = {"spec": {"dataset": {"id": dataset["id"]}}, "folds": 4}
    (fault,) = expect_problem(client.post("/v1/folds", json=body), 422)["errors"]
    assert (fault["pointer"], fault["allowed"]) == (
        "/spec/dataset/id",
        "4 images of each class, or more; or fewer folds",
    )
    create_folds(client, 3, dataset=body["spec"]["dataset"])


def test_folds_have_at_most_200_jobs() -> None:
    assert MOST_FOLDS * MOST_SEEDS == 200


def test_folds_sent_twice_with_a_key_are_made_once(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/folds", json={"spec": SPEC}, headers=headers) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    expect_problem(client.post("/v1/folds", json={"spec": SPEC, "folds": 4}, headers=headers), 422)


@pytest.fixture
def limited(settings: Settings) -> Iterator[Flask]:
    app = create_app(replace(settings, quota_queued_jobs=5))
    app.extensions["rightfit"].database.migrate()
    yield app
    app.extensions["rightfit"].database.close()


@ON_DISK
def test_folds_count_against_the_quota_of_queued_jobs(limited: Flask) -> None:
    client = limited.test_client()
    create_folds(client)
    problem = expect_problem(client.post("/v1/folds", json={"spec": SPEC, "folds": 3}), 429)
    assert "3 more" in problem["detail"]
    assert len(client.get("/v1/folds").json["data"]) == 1
