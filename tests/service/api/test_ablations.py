"""Ablations from the request to what they say, with the workers' part played by the test."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event

from service.app import create_app
from service.core.errors import Invalid, ObjectMissing
from service.core.experiments.design import BASE, MOST_FACTORS, MOST_SEEDS
from service.core.records.job import Checkpoint, Failure, Job, Outcome, Status, StopReason
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.spec.patch import patched, plain
from service.core.sql.jobs.store import Lease
from service.schemas.patches import read_spec
from service.services import Services
from tests.conftest import Redis
from tests.pictures import folders, zipped
from tests.servers import ON_DISK
from tests.service.api.requests import SPEC, expect_problem
from tests.service.worker_steps import claim, epoch, read_datasets

SHORT = [{"op": "replace", "path": "/epochs", "value": 1}]
DONE = Outcome(Status.SUCCEEDED, StopReason.MAX_EPOCHS)
Losses = Callable[[str, int], float | None]


def ask(client: FlaskClient, factors: list[Any], seeds: int = 2, **changes: Any) -> dict[str, Any]:
    answer = client.post("/v1/ablations", json={"spec": SPEC | changes, "factors": factors, "seeds": seeds})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json["links"]["self"]
    found: dict[str, Any] = json.loads(answer.text)
    return found


def look(client: FlaskClient, ablation: dict[str, Any]) -> dict[str, Any]:
    answer = client.get(ablation["links"]["self"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text)
    return found


def end(services: Services, lease: Lease, loss: float | None, outcome: Outcome = DONE) -> None:
    """The worker's part: two epochs, the better one first, and the outcome."""
    if loss is not None:
        services.store.append(lease, [epoch(1, loss, improved=True), epoch(2, loss + 1.0)])
    services.store.finish(lease, outcome, [])


def work(services: Services, losses: Losses) -> None:
    """Run all jobs that wait."""
    while lease := services.store.claim("worker", 60):
        job = services.store.get("default", lease.job_id)
        assert job.arm is not None
        assert job.spec.seed is not None
        end(services, lease, losses(job.arm, job.spec.seed))


def faults(client: FlaskClient, body: Any) -> dict[str, str]:
    """Of a request that is refused: what is wrong, by pointer; and nothing has been stored."""
    problem = expect_problem(client.post("/v1/ablations", json=body), 422)
    assert all(fault["allowed"] for fault in problem["errors"])
    assert client.get("/v1/ablations").json["data"] == client.get("/v1/jobs").json["data"] == []
    return {fault["pointer"]: fault["detail"] for fault in problem["errors"]}


def asked(factors: Any, **changes: Any) -> dict[str, Any]:
    return {"spec": SPEC | changes, "factors": factors}


def test_every_arm_runs_under_every_seed_as_ordinary_job(client: FlaskClient) -> None:
    own = {"name": "short", "patch": SHORT}
    found = ask(client, ["dropout", own], 3, seed=7, labels={"a": "b"})
    assert (found["status"], found["seeds"], found["factors"]) == ("running", [7, 8, 9], ["dropout", "short"])
    assert [arm["name"] for arm in found["arms"]] == ["base", "dropout", "short", "all"]
    dropout = found["arms"][1]["patch"]
    assert [operation["path"] for operation in dropout] == ["/regularization/dropout"]
    assert [arm["patch"] for arm in found["arms"]] == [[], dropout, SHORT, dropout + SHORT]
    assert found["jobs"] == dict.fromkeys(Status, 0) | {"queued": 12}
    for arm in found["arms"]:
        assert [run["seed"] for run in arm["jobs"]] == [7, 8, 9]
        for run in arm["jobs"]:
            spec = client.get(f"/v1/jobs/{run['id']}").json["spec"]
            assert (spec["seed"], spec["labels"]) == (run["seed"], {"a": "b"})
            assert (spec["regularization"]["dropout"] > 0) is (arm["name"] in ("dropout", "all"))
            assert spec["epochs"] == (1 if arm["name"] in ("short", "all") else 3)
    assert (found["best"], [effect["verdict"] for effect in found["effects"]]) == (None, ["too few pairs"] * 3)
    assert look(client, found) == found


def test_jobs_name_their_arm_and_share_a_split_per_seed(client: FlaskClient, services: Services) -> None:
    found = ask(client, ["dropout"])
    assert [arm["name"] for arm in found["arms"]] == ["base", "dropout"], "one factor alone is all of them"
    assert found["spec"]["seed"] is None
    splits: dict[int, set[str | None]] = {seed: set() for seed in found["seeds"]}
    for arm in found["arms"]:
        for run in arm["jobs"]:
            job = services.store.get("default", run["id"])
            assert (job.ablation, job.arm, job.patch) == (found["id"], arm["name"], arm["patch"])
            splits[run["seed"]].add(job.split)
    assert [len(names) for names in splits.values()] == [1, 1]
    assert len(set.union(*splits.values())) == 2


def test_jobs_are_claimed_seed_by_seed(client: FlaskClient, services: Services) -> None:
    ask(client, ["dropout"], seed=4)
    taken = [services.store.get("default", claim(services).job_id) for _ in range(4)]
    assert [(job.spec.seed, job.arm) for job in taken] == [(4, "base"), (4, "dropout"), (5, "base"), (5, "dropout")]


def test_seeds_wrap_around_after_the_largest(client: FlaskClient) -> None:
    assert ask(client, ["dropout"], 3, seed=2**32 - 2)["seeds"] == [2**32 - 2, 2**32 - 1, 0]


def test_every_job_is_hinted_to_workers(app: Flask, client: FlaskClient, services: Services) -> None:
    sent: list[str] = []
    services.submission.queue.send = lambda job_id: not sent.append(job_id)  # type: ignore[method-assign, func-returns-value]
    found = ask(client, ["dropout"])
    assert sorted(sent) == sorted(run["id"] for arm in found["arms"] for run in arm["jobs"])
    assert services.store.due_hints(9, 60) == ()


def test_effects_have_intervals_and_the_best_arm_has_its_spec(client: FlaskClient, services: Services) -> None:
    helps = {"dropout": -0.1, "short": 0.2, "all": -0.05}
    found = ask(client, ["dropout", {"name": "short", "patch": SHORT}], 4, seed=10)
    work(services, lambda arm, seed: 0.5 + 0.1 * (seed - 10) + helps.get(arm, 0.0) + 0.001 * (seed % 2) * (arm != BASE))
    found = look(client, found)
    assert (found["status"], found["jobs"]["succeeded"]) == ("done", 16)
    effects = {effect["name"]: effect for effect in found["effects"]}
    assert {name: effect["verdict"] for name, effect in effects.items()} == {
        "dropout": "lowers validation loss", "short": "raises validation loss", "all": "lowers validation loss",
    }  # fmt: skip
    dropout = effects["dropout"]
    assert (dropout["seeds"], dropout["significant"]) == (4, True)
    assert dropout["effect"] == pytest.approx(-0.0995)
    assert dropout["relative_effect"] == pytest.approx(-0.0995 / 0.65)
    assert dropout["interval"][0] < dropout["effect"] < dropout["interval"][1] < 0
    assert [arm["mean_val_loss"] for arm in found["arms"]] == pytest.approx([0.65, 0.5505, 0.8505, 0.6005])
    best = found["best"]
    assert (best["arm"], best["is_better_than_base"]) == ("dropout", True)
    assert best["mean_val_loss"] == pytest.approx(0.5505)
    assert client.post("/v1/jobs?validate_only=true", json=best["spec"]).status_code == 200
    (changed,) = found["arms"][1]["patch"]
    assert best["spec"]["regularization"].pop("dropout") == changed["value"]
    assert found["spec"]["regularization"].pop("dropout") == 0.0
    assert best["spec"] == found["spec"]
    assert "dropout lowers validation loss by 0.0995 nats (15%)" in found["summary"]
    assert found["summary"].endswith(best["words"])


def test_difference_within_noise_is_no_effect(client: FlaskClient, services: Services) -> None:
    found = ask(client, ["dropout"], 3, seed=0)
    work(services, lambda arm, seed: 0.5 if arm == BASE else [0.3, 0.55, 0.48][seed])
    found = look(client, found)
    (effect,) = found["effects"]
    assert (effect["verdict"], effect["significant"]) == ("no significant effect", False)
    assert effect["interval"][0] < 0 < effect["interval"][1]
    assert (found["best"]["arm"], found["best"]["is_better_than_base"]) == ("base", False)
    assert found["best"]["spec"] == found["spec"]
    assert "Nothing is significantly better" in found["best"]["words"]
    assert found["summary"].startswith("No significant effect")


def test_significant_effect_beats_a_better_but_noisy_mean(client: FlaskClient, services: Services) -> None:
    losses = {"base": [0.5, 0.6, 0.7], "dropout": [0.45, 0.551, 0.649], "short": [0.05, 0.6, 0.1], "all": [1, 1, 1]}
    found = ask(client, ["dropout", {"name": "short", "patch": SHORT}], 3, seed=0)
    work(services, lambda arm, seed: losses[arm][seed])
    found = look(client, found)
    assert [effect["verdict"] for effect in found["effects"]][:2] == ["lowers validation loss", "no significant effect"]
    assert found["best"]["arm"] == "dropout"


def test_diverged_runs_count_and_interrupted_ones_do_not(client: FlaskClient, services: Services) -> None:
    found = ask(client, ["dropout"], 5, seed=0)
    lost = Outcome(Status.FAILED, StopReason.WORKER_LOST, Failure("infrastructure", "worker_lost", "gone"))
    diverged = Outcome(Status.FAILED, StopReason.DIVERGED, Failure("user", "diverged", "too far"))
    ends = {1: lost, 2: diverged, 3: Outcome(Status.CANCELLED, StopReason.CANCELLED)}
    while lease := services.store.claim("worker", 60):
        job = services.store.get("default", lease.job_id)
        seed = job.spec.seed or 0
        end(services, lease, None if seed == 4 else 0.5, ends.get(seed, DONE) if job.arm == "dropout" else DONE)
    found = look(client, found)
    assert [run["best_val_loss"] for run in found["arms"][1]["jobs"]] == [0.5, 0.5, 0.5, 0.5, None]
    assert (found["effects"][0]["seeds"], found["effects"][0]["effect"]) == (2, 0.0)
    assert found["arms"][1]["mean_val_loss"] == 0.5
    assert (found["status"], found["best"]) == ("cancelled", None)
    assert "no best is named" in found["summary"]


def test_running_ablation_shows_partial_results(client: FlaskClient, services: Services) -> None:
    found = ask(client, ["dropout"], 2, seed=0)
    for _ in range(2):
        end(services, claim(services), 0.5)
    claim(services)
    found = look(client, found)
    assert (found["status"], found["effects"][0]["seeds"], found["effects"][0]["interval"]) == ("running", 1, None)
    assert found["jobs"] == dict.fromkeys(Status, 0) | {"queued": 1, "running": 1, "succeeded": 2}
    assert found["summary"] == "2 of 4 jobs have ended. Too few pairs to tell any effect."


def test_all_faults_of_a_request_are_returned_at_once(client: FlaskClient) -> None:
    body = {
        "spec": {"dataset": {"id": "nothing"}, "epochs": 0, "optimizer": {"nesterov": True}},
        "factors": [
            "magic", 5, {"name": ""}, {"name": "x", "patch": []},
            {"name": "x", "patch": [{"op": "set", "path": "/a", "surprise": 1}]},
        ], "seeds": 1, "more": 1,
    }  # fmt: skip
    assert faults(client, body).keys() == {
        "/spec/dataset/id", "/spec/epochs", "/spec/optimizer/nesterov", "/factors/0", "/factors/1", "/factors/2/name",
        "/factors/2/patch", "/factors/3/patch", "/factors/4/patch/0/op", "/factors/4/patch/0/surprise", "/seeds",
        "/more",
    }  # fmt: skip
    assert faults(client, {}).keys() == {"/spec", "/factors"}
    assert faults(client, asked([])).keys() == {"/factors"}
    assert faults(client, asked(["dropout"] * 9)).keys() == {"/factors"}
    assert faults(client, asked("dropout")).keys() == {"/factors"}
    assert faults(client, asked(["dropout"]) | {"seeds": 2.5}).keys() == {"/seeds"}


def test_faults_of_the_spec_come_with_those_of_factors(client: FlaskClient) -> None:
    wrong = {"dataset": {"id": "nothing"}, "optimizer": {"nesterov": True}}
    gone = {"name": "gone", "patch": [{"op": "remove", "path": "/nowhere"}]}
    found = faults(client, {"spec": wrong, "factors": ["dropout", "spatial_dropout", gone]})
    assert found.keys() == {"/spec/dataset/id", "/spec/optimizer/nesterov", "/factors/2"}


def one(path: str, value: Any) -> dict[str, Any]:
    return {"name": "x", "patch": [{"op": "add", "path": path, "value": value}]}


REFUSED: list[tuple[Any, str]] = [
    ("mixup", "no place"),
    ("collect", "no place"),
    ("no_copies", "no place"),
    ({"name": "base", "patch": SHORT}, "another arm"),
    ({"name": "all", "patch": SHORT}, "another arm"),
    ({"name": "dropout", "patch": SHORT}, "already"),
    (one("/seed", 3), "/seed"),
    (one("/dataset/id", "mnist"), "/dataset/id"),
    (one("/dataset/val_fraction", 0.4), "validated on"),
    (one("/epochs", 3), "changes nothing"),
    (one("/labels/a", "b"), "changes nothing"),
    (one("/priority", 9), "changes nothing"),
    (one("/epochs", 0), "with it, /epochs"),
    (one("/surprise", 0), "with it, /surprise"),
    (one("/regularization", 5), "with it, /regularization"),
    (one("", None), "with it, /"),
    (one("/optimizer/nesterov", True), "with it, /optimizer/nesterov"),
    (one("/model/channels", [8] * 8), "with it, /model/channels"),
    (one("/nowhere/at/all", 1), "operation 0 cannot be applied"),
    (one("epochs", 1), "operation 0 cannot be applied"),
    ({"name": "x", "patch": [*SHORT, {"op": "remove", "path": "/labels/a"}]}, "operation 1 cannot be applied"),
    ({"name": "x", "patch": [*SHORT, {"op": "test", "path": "/epochs", "value": 3}]}, "operation 1 cannot"),
    ({"name": "x", "patch": [{"op": "copy", "from": "", "path": "/labels/x"}] * 32}, "too much"),
]


def test_factor_that_cannot_be_compared_is_refused(client: FlaskClient) -> None:
    for factor, told in REFUSED:
        found = faults(client, asked(["dropout", factor], regularization={"mixup_alpha": 0.2}))
        assert found.keys() == {"/factors/1"}
        assert told in found["/factors/1"]


def test_patch_too_long_too_deep_or_not_json_is_refused(client: FlaskClient) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    for value in ("x" * 20_001, deep, math.nan, -math.inf):
        assert faults(client, asked([one("/name", value)])).keys() == {"/factors/0/patch"}


def test_value_that_a_patch_removes_again_may_be_any_json(client: FlaskClient) -> None:
    passing = {"op": "add", "path": "/labels/x", "value": ["\ud800\0", 10**400, {"": None}]}
    found = ask(client, [{"name": "x", "patch": [passing, {"op": "remove", "path": "/labels/x"}, *SHORT]}])
    assert found["arms"][1]["patch"][0] == passing
    assert look(client, found) == found


CONTRADICTIONS: list[tuple[list[Any], str]] = [
    (["lower_lr", "higher_lr"], "'lower_lr' makes no difference"),
    (["more_patience", one("/early_stopping", None)], "'more_patience' makes no difference"),
    ([one("/early_stopping", None), "more_patience"], "all together: operation 1 cannot be applied"),
    (["mixup", one("/regularization/mixup_alpha", 0.4)], "'x' makes no difference"),
    ([one("/model", {"arch": "mlp"}), "spatial_dropout"], "all together: with it, /regularization/spatial_dropout"),
    ([one("/epochs", 4), {"name": "y", "patch": [*SHORT, *one("/batch_size", 8)["patch"]]}], "'x' makes no difference"),
]


def test_contradicting_factors_are_refused(client: FlaskClient) -> None:
    for factors, told in CONTRADICTIONS:
        found = faults(client, asked(factors))
        assert found.keys() == {"/factors"}
        assert told in found["/factors"]


def test_factors_that_build_on_each_other_are_combined(client: FlaskClient) -> None:
    layers = {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear", "features": 9}, {"type": "linear"}]}
    one_more, another = ({"op": "add", "path": f"/model/layers/{i}", "value": {"type": "relu"}} for i in (1, 2))
    found = ask(client, [{"name": "a", "patch": [one_more]}, {"name": "b", "patch": [another]}], model=layers)
    assert found["arms"][-1]["patch"] == [one_more, another]


PLACES = st.sampled_from(
    ["", "/", "/epochs", "/model", "/model/channels/0", "/model/channels/-", "/labels/a~1b", "/~2"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": PLACES | st.text(max_size=4)},
    optional={"from": PLACES | st.text(max_size=4), "value": VALUES},
)


@hypothesis_settings(max_examples=150)
@given(st.lists(OPERATIONS, min_size=1, max_size=4))
def test_any_patch_makes_a_spec_or_raises_invalid(operations: list[dict[str, Any]]) -> None:
    base = plain(JobSpec.from_dict(SPEC))
    before = json.dumps(base)
    with suppress(Invalid):
        assert isinstance(read_spec(patched(base, operations)), JobSpec)
    assert json.dumps(base) == before


def test_an_ablation_has_at_most_200_jobs() -> None:
    assert (MOST_FACTORS + 2) * MOST_SEEDS == 200


def test_large_ablation_is_read_by_few_statements(client: FlaskClient, services: Services) -> None:
    names = ["dropout", "weight_decay", "l1", "label_smoothing", "mixup", "shift", "ema", "batch_norm"]
    found = ask(client, names, 20)
    assert sum(found["jobs"].values()) == 200
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(services.database.engine, "before_cursor_execute", note)
    assert len(look(client, found)["arms"]) == 10
    assert len(statements) == 2
    client.get("/v1/ablations")
    event.remove(services.database.engine, "before_cursor_execute", note)
    assert len(statements) == 4


def test_list_pages_through_all_ablations(client: FlaskClient, services: Services) -> None:
    ids = [ask(client, ["dropout"])["id"] for _ in range(3)]
    end(services, claim(services), 0.5)
    page = client.get("/v1/ablations?limit=2").json
    assert ([found["id"] for found in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    assert page["data"][0]["jobs"] == dict.fromkeys(Status, 0) | {"queued": 4}
    last = client.get(f"/v1/ablations?limit=2&after={page['next_cursor']}").json
    assert ([found["id"] for found in last["data"]], last["has_more"], last["next_cursor"]) == (ids[:1], False, None)
    assert last["data"][0]["jobs"] == dict.fromkeys(Status, 0) | {"queued": 3, "succeeded": 1}
    assert (last["data"][0]["status"], last["data"][0]["factors"]) == ("running", ["dropout"])


def test_cancel_ends_the_jobs_of_the_ablation_alone(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    found = ask(client, ["dropout"], seed=1)
    other = client.post("/v1/jobs", json=SPEC).json
    end(services, claim(services), 0.5)
    paused, running = claim(services), claim(services)
    (tmp_path / "last.pt").write_bytes(b"state")
    kept = services.storage.put(f"jobs/{paused.job_id}/a1/last.pt", tmp_path / "last.pt")
    services.store.record_checkpoint(paused, Checkpoint(kept, None, 1, None))
    services.store.pause("default", paused.job_id)
    services.store.release(paused, is_leaving=False)
    order, cancel = [], services.store.cancel

    def noted(tenant: str, job_id: str) -> tuple[Job, bool]:
        order.append(services.store.get(tenant, job_id).status)
        return cancel(tenant, job_id)

    services.store.cancel = noted  # type: ignore[method-assign]  # to see in which order it is called
    answer = client.post(found["links"]["cancel"])
    assert answer.status_code == 202
    assert order == ["queued", "paused", "running"], "no worker that is set free takes one that waits"
    assert answer.json["jobs"] == dict.fromkeys(Status, 0) | {"succeeded": 1, "cancelled": 2, "running": 1}
    with pytest.raises(ObjectMissing):
        services.storage.open(kept.key)
    assert client.post(found["links"]["cancel"]).status_code == 202, "one of its jobs has not ended"
    assert services.store.finish(running, DONE, []).status is Status.CANCELLED
    answer = client.post(found["links"]["cancel"])
    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert client.get(other["links"]["self"]).json["status"] == "queued"


def test_deleting_an_ended_ablation_keeps_its_jobs(client: FlaskClient, services: Services) -> None:
    found = ask(client, ["dropout"])
    path = found["links"]["self"]
    expect_problem(client.delete(path), 409)
    work(services, lambda arm, seed: 0.5)
    assert client.delete(path).status_code == 204
    for answer in (client.get(path), client.delete(path), client.post(found["links"]["cancel"])):
        expect_problem(answer, 404)
    assert len(client.get("/v1/jobs").json["data"]) == 4


def test_deleted_job_counts_as_missing(client: FlaskClient, services: Services) -> None:
    found = ask(client, ["dropout"], 3)
    work(services, lambda arm, seed: 0.5)
    assert client.delete(f"/v1/jobs/{found['arms'][0]['jobs'][0]['id']}").status_code == 204
    found = look(client, found)
    assert (found["status"], found["effects"][0]["seeds"], found["best"]) == ("done", 2, None)


def test_all_jobs_of_an_ablation_are_queued_or_none(client: FlaskClient, services: Services) -> None:
    sent = client.post("/v1/datasets?name=x", data=zipped(folders(10)), content_type="application/zip").json
    read_datasets(services)
    body = asked(["dropout"], dataset={"id": sent["id"]})
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
    ask(client, ["dropout"])
    answer = client.post("/v1/ablations", json=asked(["dropout"]) | {"seeds": 2})
    problem = expect_problem(answer, 429)
    assert (problem["code"], "Retry-After" in answer.headers) == ("quota_exceeded", True)
    assert "4 more" in problem["detail"]
    assert len(client.get("/v1/ablations").json["data"]) == 1
    assert [client.post("/v1/jobs", json=SPEC).status_code for _ in range(3)] == [202, 202, 429]


@ON_DISK
def test_ablation_without_redis_only_delays_its_hints(settings: Settings, own_redis: Redis) -> None:
    app = create_app(replace(settings, redis_url=own_redis.url))
    found: Services = app.extensions["rightfit"]
    found.database.migrate()
    own_redis.stop()
    ask(app.test_client(), ["dropout"])
    own_redis.start()
    assert len(found.store.due_hints(9, 60)) == 4
    found.database.close()


def test_ablation_sent_twice_with_a_key_is_made_once(client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/ablations", json=asked(["dropout"]), headers=headers) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/v1/ablations").json["data"]) == 1
    expect_problem(client.post("/v1/ablations", json=asked(["mixup"]), headers=headers), 422)
