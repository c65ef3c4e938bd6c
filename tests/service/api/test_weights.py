"""Weights over HTTP: uploaded, checked, listed, deleted."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from flask import Flask
from flask.testing import FlaskClient
from safetensors.torch import load_file
from werkzeug.test import TestResponse

from service.core.errors import ObjectMissing
from service.core.records.quotas import Quotas
from service.services import Services
from tests.service.api.requests import expect_problem, submit
from tests.service.small_weights import ARCH, Malicious, compressed, small_state, torch_file
from tests.service.worker_steps import claim, finish

BINARY = "application/octet-stream"


def push(client: FlaskClient, data: bytes, **query: Any) -> TestResponse:
    return client.post("/v1/weights", query_string={"arch": ARCH, **query}, data=data, content_type=BINARY)


def test_weights_are_uploaded_described_and_stored(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    state = small_state(classes=7)
    data = torch_file(state)
    answer = push(client, data, name="mine")
    assert answer.status_code == 201, answer.text
    sent = json.loads(answer.text)
    assert answer.headers["Location"] == f"/v1/weights/{sent['id']}"
    assert (sent["name"], sent["arch"], sent["classes"], sent["channels"]) == ("mine", ARCH, 7, 3)
    assert (sent["bytes"], sent["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert client.get(answer.headers["Location"]).json == sent
    assert client.get("/v1/weights").json["data"] == [sent]
    services.storage.get(services.weights.get("default", sent["id"]).stored, tmp_path / "file")
    loaded = load_file(tmp_path / "file")
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_same_file_again_is_the_same_weights(client: FlaskClient) -> None:
    data = torch_file(small_state())
    first = push(client, data)
    again = push(client, data, name="another name")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json
    assert push(client, torch_file(small_state(classes=3))).json["id"] != first.json["id"]


def test_answer_to_an_upload_says_what_is_left_out(client: FlaskClient) -> None:
    network = torchvision.models.googlenet(weights=None, init_weights=False)
    answer = push(client, torch_file(network.state_dict()), arch="googlenet")
    assert answer.status_code == 201, answer.text
    assert json.loads(answer.text)["notes"][0].startswith("its auxiliary classifiers are left out")
    assert "notes" not in json.loads(client.get(answer.headers["Location"]).text)


def test_deleted_weights_are_gone_with_their_file(client: FlaskClient, services: Services) -> None:
    data = torch_file(small_state())
    weights_id = push(client, data).json["id"]
    key = services.weights.get("default", weights_id).stored.key
    assert client.delete(f"/v1/weights/{weights_id}").status_code == 204
    expect_problem(client.get(f"/v1/weights/{weights_id}"), 404)
    expect_problem(client.delete(f"/v1/weights/{weights_id}"), 404)
    with pytest.raises(ObjectMissing):
        services.storage.open(key)
    assert push(client, data).status_code == 201


def test_interrupted_deletion_is_finished(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights_id = push(client, torch_file(small_state())).json["id"]
    services.weights.hide("default", weights_id)
    expect_problem(client.get(f"/v1/weights/{weights_id}"), 404)
    assert client.get("/v1/weights").json["data"] == []
    assert services.weights.half_deleted() == ()
    monkeypatch.setattr("service.core.sql.weights.DELETION_SECONDS", -1.0)
    assert services.weights.half_deleted() == (("default", weights_id),)
    assert client.delete(f"/v1/weights/{weights_id}").status_code == 204
    assert services.weights.half_deleted() == ()


def test_list_is_read_page_by_page(client: FlaskClient) -> None:
    ids = [push(client, torch_file(small_state(classes=n))).json["id"] for n in (2, 3, 4)]
    page = client.get("/v1/weights?limit=2").json
    assert [each["id"] for each in page["data"]] == ids[:0:-1]
    assert client.get(f"/v1/weights?limit=2&after={page['next_cursor']}").json["data"][0]["id"] == ids[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: b"not weights at all", "cannot be used"),
        (lambda state: torch_file(state | {"more": torch.zeros(1)}), "more is unknown"),
        (lambda _: torch_file({}), "it holds no tensors"),
        (lambda state: torch_file({k: v * torch.nan for k, v in state.items()}), "not a number"),
        (lambda state: torch_file(state | {"features.0.bias": torch.zeros(3)}), "has the shape [3]"),
        (lambda state: torch_file({"epoch": 3}), "save model.state_dict()"),
        (lambda state: compressed(torch_file({"a": torch.zeros(1 << 20)})), "compressed"),
    ],
)
def test_file_that_cannot_be_used_is_refused_with_the_reason(
    client: FlaskClient, services: Services, change: Callable[[Any], bytes], words: str
) -> None:
    problem = expect_problem(push(client, change(small_state())), 422)
    assert words in problem["errors"][0]["detail"]
    assert "safetensors" in problem["errors"][0]["allowed"]
    assert client.get("/v1/weights").json["data"] == []
    assert list(services.storage.names("weights")) == []
    assert list((services.settings.home / "uploads").iterdir()) == []


def test_pickle_in_an_upload_is_not_run(client: FlaskClient, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    problem = expect_problem(push(client, torch_file(small_state() | {"more": Malicious(trace)})), 422)
    assert "mkdir" in problem["errors"][0]["detail"]
    assert not trace.exists()


def test_wrong_request_is_refused_with_what_is_allowed(client: FlaskClient) -> None:
    data = torch_file(small_state())
    expect_problem(client.post("/v1/weights", query_string={"arch": ARCH}, data=data, content_type="text/plain"), 415)
    expect_problem(push(client, b""), 400)
    expect_problem(client.post("/v1/weights", data=data, content_type=BINARY), 422)
    assert "did you mean" in expect_problem(push(client, data, arch="resnet19"), 422)["errors"][0]["detail"]
    assert expect_problem(push(client, data, name="a\nb"), 422)["errors"][0]["pointer"] == "/name"


def test_upload_beyond_the_quotas_is_refused(client: FlaskClient, app: Flask, services: Services) -> None:
    data = torch_file(small_state())
    assert push(client, data).status_code == 201
    stored = services.weights.get("default", client.get("/v1/weights").json["data"][0]["id"]).stored.bytes
    for quotas in (Quotas(weights=1), Quotas(stored_bytes=stored + 100)):
        services.weights._quotas = quotas
        problem = expect_problem(push(client, torch_file(small_state(classes=9))), 429)
        assert problem["code"] == "quota_exceeded"
    services.catalog._quotas = replace(quotas, stored_bytes=stored)
    assert services.catalog.room("default") == 0, "data sets share the quota of storage"


def test_weights_of_another_tenant_do_not_exist(client: FlaskClient, services: Services) -> None:
    weights_id = push(client, torch_file(small_state())).json["id"]
    assert services.weights.list("other", 10).items == ()
    services.weights.forget("other", weights_id)
    assert client.get(f"/v1/weights/{weights_id}").status_code == 200
    assert services.weights.same_file("other", ARCH, client.get("/v1/weights").json["data"][0]["sha256"]) is None


def of_spec(client: FlaskClient, **model: Any) -> list[dict[str, Any]]:
    """The faults of a spec with this network."""
    answer = client.post("/v1/jobs?validate_only=true", json={"dataset": {"id": "digits"}, "model": model})
    return [] if answer.status_code == 200 else expect_problem(answer, 422)["errors"]


def test_spec_names_weights_of_its_own_architecture(client: FlaskClient) -> None:
    weights_id = push(client, torch_file(small_state())).json["id"]
    assert of_spec(client, arch=ARCH, weights=weights_id) == []
    (fault,) = of_spec(client, arch="resnet18", weights=weights_id)
    assert fault["pointer"] == "/model/weights"
    assert fault["detail"] == f"the weights are of {ARCH}, and the network is resnet18"
    (fault,) = of_spec(client, arch="cnn", weights=weights_id)
    assert fault["pointer"] == "/model/weights"
    (fault,) = of_spec(client, arch=ARCH, weights="wgt_unknown")
    assert "there are no weights" in fault["detail"]


def test_published_weights_are_of_torchvision_only(client: FlaskClient) -> None:
    assert of_spec(client, arch=ARCH, weights="imagenet") == []
    assert of_spec(client, arch=ARCH, weights="imagenet", pretrained=True) == []
    (fault,) = of_spec(client, arch="cnn", weights="imagenet")
    assert "no published weights of cnn" in fault["detail"]
    faults = of_spec(client, arch=ARCH, weights="wgt_1", pretrained=True)
    assert {fault["pointer"] for fault in faults} == {"/model/weights"}
    assert any("names others" in fault["detail"] for fault in faults)


def test_spec_names_an_ended_job_with_its_network(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    (fault,) = of_spec(client, arch="cnn", weights=job["id"])
    assert "is queued and has no best model" in fault["detail"]
    finish(services, claim(services), tmp_path)
    assert of_spec(client, arch="cnn", weights=job["id"]) == []
    assert of_spec(client, arch="cnn", weights=job["id"], norm="none") == []
    (fault,) = of_spec(client, arch="cnn", weights=job["id"], channels=[32])
    assert fault["allowed"] == "the network of that job"
    (fault,) = of_spec(client, arch="cnn", weights="job_unknown")
    assert "there is no job" in fault["detail"]


def test_lineage_says_which_weights_a_job_starts_from(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    source = submit(client)["id"]
    finish(services, claim(services), tmp_path)
    job = submit(client, model={"arch": "cnn", "weights": source})
    assert job["spec"]["model"]["weights"] == source
    assert [each["weights"] for each in client.get(f"/v1/jobs/{job['id']}/lineage").json["data"]] == [source]
    assert "starts from these weights" in expect_problem(client.delete(f"/v1/jobs/{source}"), 409)["detail"]
    client.post(f"/v1/jobs/{job['id']}/cancel")
    assert client.delete(f"/v1/jobs/{source}").status_code == 204


def test_too_large_file_is_refused(client: FlaskClient, app: Flask, services: Services) -> None:
    app.extensions["rightfit"] = replace(services, settings=replace(services.settings, max_upload_bytes=2000))
    expect_problem(push(client, bytes(3000)), 413)
