"""Ablations from the request to what they say, with the workers' part played by the test."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from service.app import create_app
from service.core.errors import ObjectMissing
from service.core.experiments.design import MOST_FACTORS, MOST_SEEDS
from service.core.records.job import Checkpoint, Job, Status
from service.core.settings import Settings
from service.services import Services
from tests.conftest import Redis
from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.ablations import DONE, SHORT, create_ablation, end_job, get_ablation, request_of, run_jobs
from tests.service.api.requests import SPEC, expect_problem
from tests.service.worker_steps import claim, read_datasets


def test_every_arm_runs_under_every_seed_as_ordinary_job(client: FlaskClient) -> None:
    own = {"name": "short", "patch": SHORT}
    ablation = create_ablation(client, ["dropout", own], 3, seed=7, labels={"a": "b"})
    assert (ablation["status"], ablation["seeds"], ablation["factors"]) == ("running", [7, 8, 9], ["dropout", "short"])
    assert [arm["name"] for arm in ablation["arms"]] == ["base", "dropout", "short", "all"]
    dropout = ablation["arms"][1]["patch"]
    assert [operation["path"] for operation in dropout] == ["/regularization/dropout"]
    assert [arm["patch"] for arm in ablation["arms"]] == [[], dropout, SHORT, dropout + SHORT]
    assert ablation["jobs"] == dict.fromkeys(Status, 0) | {"queued": 12}
    for arm in ablation["arms"]:
        assert [run["seed"] for run in arm["jobs"]] == [7, 8, 9]
        for run in arm["jobs"]:
            spec = client.get(f"/v1/jobs/{run['id']}").json["spec"]
            assert (spec["seed"], spec["labels"]) == (run["seed"], {"a": "b"})
            assert (spec["regularization"]["dropout"] > 0) is (arm["name"] in ("dropout", "all"))
            assert spec["epochs"] == (1 if arm["name"] in ("short", "all") else 3)
    assert (ablation["best"], [effect["verdict"] for effect in ablation["effects"]]) == (None, ["too few pairs"] * 3)
    assert get_ablation(client, ablation) == ablation


def test_jobs_name_their_arm_and_share_a_split_per_seed(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"])
    assert [arm["name"] for arm in ablation["arms"]] == ["base", "dropout"], "one factor alone is all of them"
    assert ablation["spec"]["seed"] is None
    splits: dict[int, set[str | None]] = {seed: set() for seed in ablation["seeds"]}
    for arm in ablation["arms"]:
        for run in arm["jobs"]:
            job = services.store.queries.get("default", run["id"])
            assert (job.ablation, job.arm, job.patch) == (ablation["id"], arm["name"], arm["patch"])
            splits[run["seed"]].add(job.split)
    assert [len(names) for names in splits.values()] == [1, 1]
    assert len(set.union(*splits.values())) == 2


def test_jobs_are_claimed_seed_by_seed(client: FlaskClient, services: Services) -> None:
    create_ablation(client, ["dropout"], seed=4)
    taken = [services.store.queries.get("default", claim(services).job_id) for _ in range(4)]
    assert [(job.spec.seed, job.arm) for job in taken] == [(4, "base"), (4, "dropout"), (5, "base"), (5, "dropout")]


def test_seeds_wrap_around_after_the_largest(client: FlaskClient) -> None:
    assert create_ablation(client, ["dropout"], 3, seed=2**32 - 2)["seeds"] == [2**32 - 2, 2**32 - 1, 0]


def test_every_job_is_hinted_to_workers(app: Flask, client: FlaskClient, services: Services) -> None:
    sent: list[str] = []
    services.submission.queue.send = lambda job_id: not sent.append(job_id)  # type: ignore[method-assign, func-returns-value]
    ablation = create_ablation(client, ["dropout"])
    assert sorted(sent) == sorted(run["id"] for arm in ablation["arms"] for run in arm["jobs"])
    assert services.store.hints.due_hints(9, 60) == ()


def test_an_ablation_has_at_most_200_jobs() -> None:
    assert (MOST_FACTORS + 2) * MOST_SEEDS == 200


def test_large_ablation_is_read_by_few_statements(client: FlaskClient, services: Services) -> None:
    names = ["dropout", "weight_decay", "l1", "label_smoothing", "mixup", "shift", "ema", "batch_norm"]
    ablation = create_ablation(client, names, 20)
    assert sum(ablation["jobs"].values()) == 200
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(services.database.engine, "before_cursor_execute", note)
    assert len(get_ablation(client, ablation)["arms"]) == 10
    assert len(statements) == 2
    client.get("/v1/ablations")
    event.remove(services.database.engine, "before_cursor_execute", note)
    assert len(statements) == 4


def test_list_pages_through_all_ablations(client: FlaskClient, services: Services) -> None:
    ids = [create_ablation(client, ["dropout"])["id"] for _ in range(3)]
    end_job(services, claim(services), 0.5)
    page = client.get("/v1/ablations?limit=2").json
    assert ([ablation["id"] for ablation in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    assert page["data"][0]["jobs"] == dict.fromkeys(Status, 0) | {"queued": 4}
    last = client.get(f"/v1/ablations?limit=2&after={page['next_cursor']}").json
    assert ([ablation["id"] for ablation in last["data"]], last["has_more"], last["next_cursor"]) == (
        ids[:1],
        False,
        None,
    )
    assert last["data"][0]["jobs"] == dict.fromkeys(Status, 0) | {"queued": 3, "succeeded": 1}
    assert (last["data"][0]["status"], last["data"][0]["factors"]) == ("running", ["dropout"])


def test_cancel_ends_the_jobs_of_the_ablation_alone(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    ablation = create_ablation(client, ["dropout"], seed=1)
    other = client.post("/v1/jobs", json=SPEC).json
    end_job(services, claim(services), 0.5)
    paused, running = claim(services), claim(services)
    (tmp_path / "last.pt").write_bytes(b"state")
    kept = services.storage.put(f"jobs/{paused.job_id}/a1/last.pt", tmp_path / "last.pt")
    services.store.leases.record_checkpoint(paused, Checkpoint(kept, None, 1, None))
    services.store.actions.pause("default", paused.job_id)
    services.store.leases.release(paused, is_leaving=False)
    order, cancel = [], services.store.actions.cancel

    def noted(tenant: str, job_id: str) -> tuple[Job, bool]:
        order.append(services.store.queries.get(tenant, job_id).status)
        return cancel(tenant, job_id)

    services.store.actions.cancel = noted  # type: ignore[method-assign]  # to see in which order it is called
    answer = client.post(ablation["links"]["cancel"])
    assert answer.status_code == 202
    assert order == ["queued", "paused", "running"], "no worker that is set free takes one that waits"
    assert answer.json["jobs"] == dict.fromkeys(Status, 0) | {"succeeded": 1, "cancelled": 2, "running": 1}
    with pytest.raises(ObjectMissing):
        services.storage.open(kept.key)
    assert client.post(ablation["links"]["cancel"]).status_code == 202, "one of its jobs has not ended"
    assert services.store.leases.finish(running, DONE, []).status is Status.CANCELLED
    answer = client.post(ablation["links"]["cancel"])
    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert client.get(other["links"]["self"]).json["status"] == "queued"


def test_deleting_an_ended_ablation_keeps_its_jobs(client: FlaskClient, services: Services) -> None:
    ablation = create_ablation(client, ["dropout"])
    path = ablation["links"]["self"]
    expect_problem(client.delete(path), 409)
    run_jobs(services, lambda arm, seed: 0.5)
    assert client.delete(path).status_code == 204
    for answer in (client.get(path), client.delete(path), client.post(ablation["links"]["cancel"])):
        expect_problem(answer, 404)
    assert len(client.get("/v1/jobs").json["data"]) == 4


def test_all_jobs_of_an_ablation_are_queued_or_none(client: FlaskClient, services: Services) -> None:
    sent = client.post("/v1/datasets?name=x", data=zipped(folders(10)), content_type="application/zip").json
    read_datasets(services)
    body = request_of(["dropout"], dataset={"id": sent["id"]})
    arrived = 0

    def gone(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal arrived
        arrived += statement.startswith("INSERT INTO jobs")
        if arrived == 3:
            raise RuntimeError("the third job cannot be stored")

    event.listen(services.database.engine, "before_cursor_execute", gone)
    expect_problem(client.post("/v1/ablations", json=body), 500)
    event.remove(services.database.engine, "before_cursor_execute", gone)
    assert arrived == 3
    assert client.get("/v1/jobs").json["data"] == client.get("/v1/ablations").json["data"] == []
    assert client.post("/v1/ablations", json=body).status_code == 202
    expect_problem(client.delete(f"/v1/datasets/{sent['id']}"), 409)


@pytest.fixture
def limited(settings: Settings) -> Iterator[Flask]:
    app = create_app(replace(settings, quota_queued_jobs=6))
    app.extensions["rightfit"].database.migrate()
    yield app
    app.extensions["rightfit"].database.close()


def test_ablation_counts_against_the_quota_of_queued_jobs(limited: Flask) -> None:
    client = limited.test_client()
    create_ablation(client, ["dropout"])
    answer = client.post("/v1/ablations", json=request_of(["dropout"]) | {"seeds": 2})
    problem = expect_problem(answer, 429)
    assert (problem["code"], "Retry-After" in answer.headers) == ("quota_exceeded", True)
    assert "4 more" in problem["detail"]
    assert len(client.get("/v1/ablations").json["data"]) == 1
    assert [client.post("/v1/jobs", json=SPEC).status_code for _ in range(3)] == [202, 202, 429]


@ON_DISK
def test_ablation_without_redis_only_delays_its_hints(settings: Settings, own_redis: Redis) -> None:
    app = create_app(replace(settings, redis_url=own_redis.url))
    services: Services = app.extensions["rightfit"]
    services.database.migrate()
    own_redis.stop()
    create_ablation(app.test_client(), ["dropout"])
    own_redis.start()
    assert len(services.store.hints.due_hints(9, 60)) == 4
    services.database.close()


def test_ablation_sent_twice_with_a_key_is_made_once(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/ablations", json=request_of(["dropout"]), headers=headers) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/v1/ablations").json["data"]) == 1
    expect_problem(client.post("/v1/ablations", json=request_of(["mixup"]), headers=headers), 422)
