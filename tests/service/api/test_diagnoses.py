"""Histories of runs that were trained elsewhere: what is read, answered and refused."""

import io
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.core.diagnosis.histories import MOST_BYTES
from service.core.diagnosis.snippets import FRAMEWORKS
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.services import Services
from tests.servers import ON_DISK
from tests.service.api.requests import expect_problem

pytestmark = ON_DISK

VALIDATION = [1.0, 0.8, 0.7, 0.65, 0.6, 0.6, *(0.62 + 0.05 * i for i in range(14))]
EPOCHS = [
    {"epoch": i + 1, "train_loss": 2 * 0.75**i, "val_loss": loss, "val_accuracy": max(0.5, 0.8 - max(0, i - 5) * 0.005)}
    for i, loss in enumerate(VALIDATION)
]
CSV = "epoch,loss,val_loss,val_acc\n" + "\n".join(
    f"{e['epoch']},{e['train_loss']},{e['val_loss']},{e['val_accuracy']}" for e in EPOCHS
)
OVERFITTED = ("overfitting", "overconfident")


def post(client: FlaskClient, body: str | bytes, kind: str = "text/csv", query: str = "") -> Any:
    return client.post(f"/v1/diagnoses{query}", data=body, content_type=kind)


def diagnosed(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.json["verdict"] in OVERFITTED
    assert answer.json["read"]["epochs"] == len(EPOCHS)
    content: dict[str, Any] = answer.json
    return content


def test_epochs_are_diagnosed(client: FlaskClient) -> None:
    answer = diagnosed(client.post("/v1/diagnoses", json={"epochs": EPOCHS, "classes": 10, "validation_images": 1000}))
    assert 0 < answer["confidence"] <= 1
    assert answer["summary"]
    assert answer["evidence"]
    assert answer["links"] == {"docs": f"/docs/verdicts/{answer['verdict']}"}
    assert {one["what"] for one in answer["missing"]} == {"train_loss_clean", "val_loss_se", "label_counts", "spec"}
    assert answer["counterfactual"]["actual"] == {"stop_epoch": 20, "best_epoch": 5, "best_val_loss": 0.6}
    assert answer["counterfactual"]["data"][0]["epochs_saved"] == 14


def test_advice_has_code_and_assumes_no_settings(client: FlaskClient) -> None:
    advice = diagnosed(post(client, CSV))["advice"]
    assert advice
    assert all(set(one["snippets"]) == set(FRAMEWORKS) and all(one["snippets"].values()) for one in advice)
    assert all(not one["patch"] and "Now " not in one["reason"] for one in advice)


def test_settings_of_the_run_make_patches(client: FlaskClient) -> None:
    spec = {"optimizer": {"lr": 0.01}, "regularization": {"dropout": 0.1}}
    advice = {
        one["id"]: one
        for one in diagnosed(client.post("/v1/diagnoses", json={"epochs": EPOCHS, "spec": spec}))["advice"]
    }
    assert advice["dropout"]["patch"] == [{"op": "add", "path": "/regularization/dropout", "value": 0.3}]
    assert "Now regularization.dropout is 0.1" in advice["dropout"]["reason"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", CSV),
        ("text/plain", CSV),
        ("application/octet-stream", CSV),
        ("text/tab-separated-values", CSV.replace(",", "\t")),
        ("application/json", json.dumps(EPOCHS)),
        ("application/json", json.dumps({"loss": [e["train_loss"] for e in EPOCHS], "val_loss": VALIDATION})),
        ("application/x-ndjson", "\n".join(map(json.dumps, EPOCHS))),
        (
            "text/plain",
            "\n".join(
                f"Epoch {e['epoch']}/20: loss {e['train_loss']:.4f} - val_loss {e['val_loss']:.4f}" for e in EPOCHS
            ),
        ),
    ],
)
def test_files_are_read_with_facts_in_the_query(client: FlaskClient, kind: str, body: str) -> None:
    answer = diagnosed(post(client, body, kind, "?classes=2&validation_images=500&label_counts=30,70"))
    known = {one["what"] for one in answer["missing"]}
    assert not known & {"classes", "label_counts", "validation_images"}


def test_facts_of_the_body_overrule_the_query(client: FlaskClient) -> None:
    answer = client.post("/v1/diagnoses?classes=2", json={"epochs": EPOCHS, "label_counts": [1, 1, 1]})
    assert "there are 3 numbers" in expect_problem(answer, 422)["detail"]
    body = {"epochs": EPOCHS, "classes": 3, "label_counts": [1, 1, 1]}
    diagnosed(client.post("/v1/diagnoses?classes=2", json=body))


def test_columns_and_run_are_chosen(client: FlaskClient) -> None:
    twice = "id,e,a,b\n" + "\n".join(f"{run},{line.rpartition(',')[0]}" for run in "xy" for line in CSV.split("\n")[1:])
    query = "?columns=run:id,epoch:e,train_loss:a,val_loss:b"
    assert expect_problem(post(client, twice, query=query), 422)["errors"][0]["pointer"] == "/run"
    answer = diagnosed(post(client, twice, query=f"{query}&run=y"))
    assert answer["read"]["columns"] == {"run": "id", "epoch": "e", "train_loss": "a", "val_loss": "b"}
    body = {"epochs": [{"e": i, "b": loss} for i, loss in enumerate(VALIDATION)], "columns": {"val_loss": "b"}}
    assert client.post("/v1/diagnoses", json=body).json["read"]["columns"] == {"val_loss": "b"}


REFUSED = [
    ("text/csv", b"a,b\n1,2\n", "", "/columns"),
    ("text/csv", b"", "", ""),
    ("text/plain", b"hello", "", ""),
    ("application/json", b"{}", "", ""),
    ("application/json", b'{"epochs": []}', "", "/epochs"),
    ("application/json", b'{"epochs": [1]}', "", "/epochs/0"),
    ("application/json", b'{"epochs": [{"loss": 1}], "class": 2}', "", "/class"),
    ("application/json", b'{"epochs": [{"loss": 1}], "classes": 0}', "", "/classes"),
    ("application/json", b'{"epochs": [{"loss": 1}], "label_counts": [0, 0]}', "", "/label_counts"),
    ("application/json", b'{"epochs": [{"loss": 1}], "columns": {"loss": "a"}}', "", "/columns"),
    ("application/json", b'{"epochs": [{"loss": 1}], "columns": {"lr": ""}}', "", "/columns/lr"),
    ("application/json", b'{"epochs": [{}]}', "", ""),
    ("application/json", b'{"epochs": [{"loss": 1}, {"loss": 2}]}', "?run=%C2%B2", "/run"),
    ("application/json", b'{"epochs": [{"loss": 1}], "spec": {"optimizer": {"lr": -1}}}', "", "/spec/optimizer/lr"),
    ("text/csv", CSV.encode(), "?classes=0", "/classes"),
    ("text/csv", CSV.encode(), "?columns=loss", "/columns"),
    ("text/csv", CSV.encode(), "?columns=val_loss:nothing", "/columns"),
    ("text/csv", CSV.encode(), "?label_counts=1,x", "/label_counts/1"),
    ("text/csv", CSV.encode(), "?spec=1", "/spec"),
]


@pytest.mark.parametrize(("kind", "body", "query", "pointer"), REFUSED)
def test_what_is_wrong_is_named_with_what_is_allowed(
    client: FlaskClient, kind: str, body: bytes, query: str, pointer: str
) -> None:
    (fault,) = expect_problem(post(client, body, kind, query), 422)["errors"]
    assert fault["pointer"] == pointer
    assert fault["detail"]
    assert fault["allowed"]


def test_other_media_types_and_long_bodies_are_refused(client: FlaskClient) -> None:
    assert "text/csv" in expect_problem(post(client, CSV, "image/png"), 415)["detail"]
    assert f"{MOST_BYTES:,} bytes" in expect_problem(post(client, b"x" * (MOST_BYTES + 1)), 413)["detail"]
    chunked = client.post(
        "/v1/diagnoses",
        input_stream=io.BytesIO(b"x" * (MOST_BYTES + 1)),
        content_type="text/csv",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    expect_problem(chunked, 413)


@pytest.mark.parametrize(
    ("member", "detail"),
    [
        ('"epochs": [' + "{}," * 2_000_000 + "{}]", "values"),
        ('"epochs": [' + "{}," * 100_000 + "{}]", "100,001 rows"),
        ('"epochs": [{"loss": 1}], "label_counts": [' + "1," * 100_000 + "1]", "100,001 numbers"),
        ('"epochs": [{"loss": 1}], "spec": {"name": "' + "x" * 3_000_000 + '"}', "characters"),
    ],
)
def test_large_json_is_refused_before_it_is_checked(client: FlaskClient, member: str, detail: str) -> None:
    began = time.thread_time()
    (fault,) = expect_problem(post(client, "{" + member + "}", "application/json"), 422)["errors"]
    assert detail in fault["detail"]
    assert fault["allowed"]
    assert time.thread_time() - began < 2, "seconds; each row once took its time, and all of them gigabytes"


def test_long_history_is_answered(client: FlaskClient) -> None:
    body = "loss,val_loss\n" + "\n".join(f"{1 / (i + 1)},{1 / (i + 1)}" for i in range(10_000))
    assert post(client, body).json["read"]["epochs"] == 10_000


class TestWithKeys:
    """A key that may only read is enough."""

    @pytest.fixture
    def settings(self, everywhere: Settings) -> Settings:
        return replace(everywhere, auth="keys")

    def test_reading_is_enough(self, app: Flask, services: Services) -> None:
        client = app.test_client()
        expect_problem(post(client, CSV), 401)
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {services.keys.create('team', [Scope.READ])}"
        diagnosed(post(client, CSV))
