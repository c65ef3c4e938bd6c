"""Verdicts, forks and lineages over HTTP."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.core.evaluation.predictions import Predictions
from service.core.sql.jobs import lineage
from service.services import Services
from tests.golden import synthetic
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem, submit
from tests.service.api.runs import FACTS, history
from tests.service.drawn import drawn
from tests.service.small_weights import ARCH, small_state, torch_file
from tests.service.worker_steps import claim, finish

OCTETS = "application/octet-stream"


def trained(
    client: FlaskClient, services: Services, tmp_path: Path, kind: str = "overfitting", **changes: Any
) -> dict[str, Any]:
    job = submit(client, **changes)
    lease = claim(services)
    services.store.leases.record_facts(lease, FACTS)
    services.store.leases.append(lease, history(kind))
    finish(services, lease, tmp_path)
    ended: dict[str, Any] = client.get(job["links"]["self"]).json or {}
    return ended


def test_overfitting_run_has_verdict_evidence_and_advice(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    job = trained(client, services, tmp_path)
    diagnosis = client.get(job["links"]["diagnosis"]).json
    assert (diagnosis["verdict"], diagnosis["is_final"]) == ("overfitting", True)
    assert 1 < diagnosis["onset_epoch"] < job["progress"]["epoch"]
    assert diagnosis["summary"].count(".") >= 2
    rise = next(e for e in diagnosis["evidence"] if e["name"] == "val_rise")
    assert rise["value"] > rise["threshold"] > 0
    assert diagnosis["advice"][0]["patch"]
    assert diagnosis["links"]["docs"] == "/docs/verdicts/overfitting"


def test_diagnosis_is_live_while_the_job_trains(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    assert client.get(job["links"]["diagnosis"]).json["verdict"] == "too_short_to_tell"
    lease = claim(services)
    services.store.leases.record_facts(lease, FACTS)
    services.store.leases.append(lease, history("overfitting"))
    diagnosis = client.get(job["links"]["diagnosis"]).json
    assert (diagnosis["verdict"], diagnosis["is_final"], diagnosis["waste"]) == ("overfitting", False, None)


def test_fork_by_advice_names_its_parent(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    parent = trained(client, services, tmp_path)
    advice = client.get(parent["links"]["diagnosis"]).json["advice"]
    assert "dropout" in [each["id"] for each in advice]
    answer = client.post(parent["links"]["fork"], json={"advice": "dropout"})
    child = answer.json
    assert answer.status_code == 202
    assert answer.headers["Location"] == child["links"]["self"]
    assert (child["parent"], child["status"]) == (parent["id"], "queued")
    assert child["spec"]["seed"] == parent["spec"]["seed"]
    assert child["spec"]["regularization"]["dropout"] == 0.3
    assert child["spec"] | {"regularization": parent["spec"]["regularization"]} == parent["spec"]


@ON_DISK
def test_uploaded_weights_are_advised_and_forked(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    few = {"id": "cifar10", "train_limit": 500}
    job = trained(client, services, tmp_path, dataset=few)
    (advised,) = [each for each in client.get(job["links"]["diagnosis"]).json["advice"] if each["id"] == "pretrained"]
    assert advised["patch"] == []
    assert "rightfit weights push" in advised["expected"]
    weights = client.post(f"/v1/weights?arch={ARCH}", data=torch_file(small_state()), content_type=OCTETS).json
    advice = {each["id"]: each for each in client.get(job["links"]["diagnosis"]).json["advice"]}
    assert advice["pretrained"]["patch"][0]["value"]["weights"] == weights["id"]
    fork = client.post(job["links"]["fork"], json={"advice": "pretrained"})
    assert fork.status_code == 202, fork.text
    assert fork.json["spec"]["model"]["arch"] == ARCH


@ON_DISK
def test_every_advice_with_a_patch_can_be_forked(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    for kind in synthetic.KINDS:
        job = trained(client, services, tmp_path, kind, early_stopping={"patience": 3})
        for advice in client.get(job["links"]["diagnosis"]).json["advice"]:
            answer = client.post(job["links"]["fork"], json={"advice": advice["id"]})
            assert answer.status_code == (202 if advice["patch"] else 422), answer.text
            if answer.status_code == 202:
                assert client.post(answer.json["links"]["cancel"]).status_code == 202


def test_fork_goes_on_from_the_best_model_of_its_parent(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    job_id = submit(client)["id"]
    expect_problem(client.post(f"/v1/jobs/{job_id}/fork", json={"keep_weights": True}), 422)  # it has not ended
    finish(services, claim(services), tmp_path)
    forked = client.post(f"/v1/jobs/{job_id}/fork", json={"keep_weights": True})
    assert forked.status_code == 202, forked.text
    assert forked.json["spec"]["model"]["weights"] == job_id
    patch = [{"op": "replace", "path": "/epochs", "value": 7}]
    changed = client.post(f"/v1/jobs/{job_id}/fork", json={"patch": patch, "keep_weights": True}).json
    assert (changed["spec"]["epochs"], changed["spec"]["model"]["weights"]) == (7, job_id)
    family = client.get(f"/v1/jobs/{changed['id']}/lineage").json["data"]
    weights = {"op": "add", "path": "/model/weights", "value": job_id}
    assert [kin["patch"] for kin in family] == [None, [weights], [*patch, weights]]
    other = [{"op": "replace", "path": "/model/channels", "value": [8]}]
    problem = expect_problem(client.post(f"/v1/jobs/{job_id}/fork", json={"patch": other, "keep_weights": True}), 422)
    assert "another network" in problem["errors"][0]["detail"]


def test_fork_of_a_pretrained_network_keeps_its_own_weights(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    job_id = submit(client, model={"arch": "resnet18", "pretrained": True})["id"]
    finish(services, claim(services), tmp_path)
    forked = client.post(f"/v1/jobs/{job_id}/fork", json={"keep_weights": True}).json
    assert (forked["spec"]["model"]["pretrained"], forked["spec"]["model"]["weights"]) == (False, job_id)


def test_fork_by_patch_is_in_the_lineage(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    first = trained(client, services, tmp_path)
    patch = [{"op": "replace", "path": "/epochs", "value": 7}, {"op": "add", "path": "/labels/try", "value": "2"}]
    second = client.post(first["links"]["fork"], json={"patch": patch}).json
    third = client.post(second["links"]["fork"], json={"advice": "dropout"}).json
    sibling = client.post(first["links"]["fork"], json={"advice": "label_smoothing"}).json
    submit(client)
    assert (second["spec"]["epochs"], second["labels"]) == (7, {"try": "2"})
    for job in (first, second, third, sibling):
        family = client.get(job["links"]["lineage"]).json["data"]
        assert [(j["id"], j["parent"], j["advice"]) for j in family] == [
            (first["id"], None, None),
            (second["id"], first["id"], None),
            (third["id"], second["id"], "dropout"),
            (sibling["id"], first["id"], "label_smoothing"),
        ]
        assert family[1]["patch"] == patch


def test_lineage_has_the_paired_difference_from_the_parent(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    def run(job: Any, predictions: Predictions) -> Any:
        lease = claim(services)
        services.store.leases.append(lease, history("healthy"))
        finish(services, lease, tmp_path, predictions=predictions)
        return job

    parent = run(submit(client), drawn(200, 10))
    sharper = replace(drawn(200, 10), logits=drawn(200, 10).logits * 3)
    same = run(client.post(parent["links"]["fork"], json={"advice": "dropout"}).json, sharper)
    other = run(client.post(parent["links"]["fork"], json={"advice": "mixup"}).json, drawn(199, 10))
    family = {kin["id"]: kin["against_parent"] for kin in client.get(parent["links"]["lineage"]).json["data"]}
    assert family[parent["id"]] is family[other["id"]] is None, "the other fork has other images"
    difference = family[same["id"]]
    assert (difference["paired"], difference["images"]) == (True, 200)
    assert difference["interval"][0] > 0, "three times the logits are overconfident"
    assert (difference["accuracy_points"], difference["mcnemar"]["p_value"]) == (0, 1)
    page = client.get(f"/jobs/{same['id']}").text
    assert "Best validation loss against it: +" in page
    assert "(95 %, paired), worse beyond noise." in page
    assert "(95 %, paired)</li>" in client.get(f"/jobs/{parent['id']}").text


def test_advice_does_not_lead_back_to_the_parent(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    def advised(job: Any) -> list[str]:
        lease = claim(services)
        services.store.leases.record_facts(lease, FACTS)
        services.store.leases.append(lease, history("underfitting"))
        finish(services, lease, tmp_path)
        return [advice["id"] for advice in client.get(job["links"]["diagnosis"]).json["advice"]]

    dropout = [{"op": "replace", "path": "/regularization/dropout", "value": 0.5}]
    parent = submit(client)
    advised(parent)
    fork = client.post(parent["links"]["fork"], json={"patch": dropout}).json
    assert "less_regularization" not in advised(fork)
    assert "less_regularization" in advised(submit(client, regularization={"dropout": 0.5}))


def test_lineage_survives_deletion_of_its_first_job(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    first = trained(client, services, tmp_path)
    children = [client.post(first["links"]["fork"], json={"advice": a}).json["id"] for a in ("dropout", "mixup")]
    assert client.delete(first["links"]["self"]).status_code == 204
    family = client.get(f"/v1/jobs/{children[0]}/lineage").json["data"]
    assert [job["id"] for job in family] == children


@ON_DISK
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/advice"),
        ({"advice": "dropout", "patch": [{"op": "remove", "path": "/name"}]}, "/advice"),
        ({"advice": "prayer"}, "/advice"),
        ({"advice": "more_data"}, "/advice"),
        ({"patch": []}, "/patch"),
        ({"patch": [{"op": "add", "path": "/epochs"}]}, "/patch/0/value"),
        ({"patch": [{"op": "grow", "path": "/epochs", "value": 1}]}, "/patch/0/op"),
        ({"patch": [{"op": "test", "path": "/epochs", "value": 3}, {"op": "remove", "path": "/nothing"}]}, "/patch/1"),
        ({"patch": [{"op": "test", "path": "/epochs", "value": 4}]}, "/patch/0"),
        ({"patch": [{"op": "replace", "path": "/epochs", "value": 0}]}, "/epochs"),
        ({"patch": [{"op": "add", "path": "/colour", "value": "red"}]}, "/colour"),
        ({"patch": [{"op": "replace", "path": "", "value": 3}]}, ""),
        ({"patch": [{"op": "replace", "path": "/optimizer/nesterov", "value": True}]}, "/optimizer/nesterov"),
    ],
)
def test_bad_fork_is_refused_with_the_reason(client: FlaskClient, body: dict[str, Any], pointer: str) -> None:
    job = submit(client)
    problem = expect_problem(client.post(job["links"]["fork"], json=body), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer], problem
    assert len(client.get("/v1/jobs").json["data"]) == 1


def test_fork_sent_twice_with_a_key_makes_one_job(client: FlaskClient) -> None:
    first, second = submit(client), submit(client)
    headers, body = {"Idempotency-Key": "again"}, {"advice": "dropout"}
    once = client.post(first["links"]["fork"], json=body, headers=headers)
    twice = client.post(first["links"]["fork"], json=body, headers=headers)
    assert (once.json["id"], twice.headers["Idempotency-Replayed"]) == (twice.json["id"], "true")
    expect_problem(client.post(second["links"]["fork"], json=body, headers=headers), 422)


def test_more_data_is_advised_with_a_learning_curve(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    rows = history("stagnant")
    for images, share in ((100, 1.0), (200, 0.5), (400, 0.25), (50, 2.0)):
        job = submit(client, dataset={"id": "digits", "train_limit": images}, seed=3, labels={"n": str(images)})
        lease = claim(services)
        services.store.leases.record_facts(lease, FACTS | {"images": {"train": images, "validation": 200, "test": 0}})
        services.store.leases.append(lease, [replace(row, val_loss=(row.val_loss or 0.0) * share) for row in rows])
        finish(services, lease, tmp_path)
    first = client.get(job["links"]["diagnosis"]).json["advice"][0]
    best = client.get(job["links"]["self"]).json["best"]["val_loss"]
    assert first["id"] == "more_data"
    assert "runs with 50, 100, 200, 400 images, 100 instead of 50" in first["expected"]
    assert f"to about {best / 2:.3f}" in first["expected"]


def test_test_score_counts_earlier_jobs_on_the_same_split(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    dataset = {"id": "digits", "test_fraction": 0.2}
    for earlier in range(3):
        job = submit(client, dataset=dataset, seed=4)
        lease = claim(services)
        services.store.leases.record_facts(lease, FACTS)
        services.store.leases.append(lease, history("healthy"))
        services.store.leases.record_facts(lease, {"test": {"loss": 0.5, "accuracy": 0.9, "loss_se": 0.04}})
        finish(services, lease, tmp_path)
        best = client.get(job["links"]["self"]).json["best"]
        test = client.get(job["links"]["diagnosis"]).json["test"]
        assert test["optimism"] == pytest.approx(0.5 - best["val_loss"])
        assert test["optimism_se"] == pytest.approx((0.04**2 + best["val_loss_se"] ** 2) ** 0.5)
        half = 1.96 * test["optimism_se"]
        assert test["optimism_interval"] == pytest.approx([test["optimism"] - half, test["optimism"] + half])
        assert test["earlier_jobs"] == earlier
    other = trained(client, services, tmp_path, dataset=dataset, seed=5)
    assert client.get(other["links"]["diagnosis"]).json["test"] is None


def test_ended_job_has_the_waste_after_its_best_epoch(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = trained(client, services, tmp_path)
    after = job["progress"]["epoch"] - job["best"]["epoch"]
    assert job["waste"] == {
        "epochs": after,
        "seconds": float(after),
        "images": after * 800,
        "share": after / job["progress"]["epoch"],
        "joules": None,
    }
    assert job["facts"]["images"] == FACTS["images"]


def test_cancelled_job_without_an_epoch_has_no_waste(client: FlaskClient) -> None:
    job = client.post(submit(client)["links"]["cancel"]).json
    assert (job["status"], job["waste"], job["facts"]) == ("cancelled", None, None)
    diagnosis = client.get(job["links"]["diagnosis"]).json
    assert (diagnosis["verdict"], diagnosis["is_final"]) == ("too_short_to_tell", True)


def test_verdict_event_is_not_repeated_after_interruptions(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    diagnosis = {"verdict": "overfitting", "onset_epoch": 4, "is_final": False}
    for _ in range(2):
        lease = claim(services)
        services.store.leases.record_facts(lease, FACTS)
        services.store.leases.record_diagnosis(lease, diagnosis)
        services.store.leases.release(lease, is_leaving=True)
    lease = claim(services)
    services.store.leases.record_diagnosis(lease, diagnosis | {"verdict": "diverged"})
    services.store.leases.record_diagnosis(lease, diagnosis | {"is_final": True})
    events = client.get(f"{job['links']['events']}?limit=100").json["data"]
    verdicts = [(e["data"]["verdict"], e["data"]["is_final"]) for e in events if e["type"] == "diagnosis"]
    assert verdicts == [("overfitting", False), ("diverged", False), ("overfitting", True)]
    assert [e["type"] for e in events].count("facts") == 1


def test_published_test_part_is_the_same_under_every_seed(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    looks = []
    for seed, dataset in ((1, "mnist"), (2, "mnist"), (2, "fashion-mnist")):
        job = submit(client, dataset={"id": dataset}, seed=seed)
        lease = claim(services)
        services.store.leases.record_facts(lease, FACTS | {"test": {"loss": 0.5, "accuracy": 0.9, "loss_se": 0.04}})
        services.store.leases.append(lease, history("healthy"))
        finish(services, lease, tmp_path)
        looks.append(client.get(job["links"]["diagnosis"]).json["test"]["earlier_jobs"])
    assert looks == [0, 1, 0]


def test_large_lineage_keeps_the_requested_job(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = submit(client)
    children = [client.post(first["links"]["fork"], json={"advice": "dropout"}).json for _ in range(5)]
    monkeypatch.setattr(lineage, "MOST", 3)
    family = [job["id"] for job in client.get(children[4]["links"]["lineage"]).json["data"]]
    assert family == [first["id"], children[0]["id"], children[4]["id"]]
