"""The API document gives the shape of every answer, and the answers have it.

The client of all tests of the API checks each answer (documented.py), so their other assertions need not.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.servers import ON_DISK

pytestmark = ON_DISK

SHAPES = {"type", "$ref", "enum", "oneOf", "anyOf", "allOf"}
DIGITS: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 3}
SPECS: dict[str, dict[str, Any]] = {
    "defaults": DIGITS,
    "labels": DIGITS | {"name": "first", "labels": {"team": "a"}, "early_stopping": None, "seed": 1},
    "layers": DIGITS | {"model": {"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear"}]}},
    "resnet": DIGITS | {"dataset": {"id": "digits", "image_size": 64}, "model": {"arch": "resnet18"}},
}


def schemas(node: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below a node of the document that describes a member, an item or a body, with its pointer."""
    if isinstance(node, list):
        for at, inner in enumerate(node):
            yield from schemas(inner, f"{pointer}/{at}")
    elif isinstance(node, dict):
        for name, inner in node.items():
            below = f"{pointer}/{name}"
            if name == "properties":
                yield from ((f"{below}/{member}", schema) for member, schema in inner.items())
            elif name in ("items", "additionalProperties", "schema") and isinstance(inner, dict):
                yield below, inner
            yield from schemas(inner, below)


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json or {}
    return document


def test_every_member_of_the_document_has_a_shape(document: dict[str, Any]) -> None:
    described = dict(schemas(document, ""))
    assert len(described) > 300
    assert [pointer for pointer, schema in described.items() if not SHAPES & set(schema)] == []


def test_an_unchanged_document_is_not_sent_again(client: FlaskClient) -> None:
    tag = client.get("/openapi.json").headers["ETag"]
    assert client.get("/openapi.json", headers={"If-None-Match": tag}).status_code == 304


def test_every_answer_with_a_body_has_a_media_type(document: dict[str, Any]) -> None:
    answers = {
        f"{method} {path} {status}": answer
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
        for status, answer in operation["responses"].items()
        if status.startswith("2") and status != "204"
    }
    assert [name for name, answer in answers.items() if not answer.get("content")] == []


@pytest.mark.parametrize("name", SPECS)
def test_the_answers_about_a_job_have_the_documented_shape(client: FlaskClient, name: str) -> None:
    client.post("/v1/jobs?validate_only=true", json=SPECS[name])
    job = client.post("/v1/jobs", json=SPECS[name]).json
    client.get("/v1/jobs")
    for resource in ("diagnosis", "events", "logs", "history", "artifacts"):
        assert client.get(job["links"][resource]).status_code == 200
    patch = [{"op": "replace", "path": "/epochs", "value": 4}, {"op": "add", "path": "/name", "value": None}]
    fork = client.post(job["links"]["fork"], json={"patch": patch}).json
    assert client.get(fork["links"]["lineage"]).json["data"][1]["patch"] == patch
    assert client.get(f"/v1/compare?jobs={job['id']},{fork['id']}").status_code == 200


def test_the_answers_about_an_ablation_have_it_too(client: FlaskClient) -> None:
    patch = [{"op": "replace", "path": "/optimizer/lr", "value": 0.1}]
    factors = ["dropout", {"name": "fast", "patch": patch}]
    ablation = client.post("/v1/ablations", json={"spec": DIGITS, "factors": factors}).json
    assert [arm["patch"] for arm in ablation["arms"] if arm["name"] == "fast"] == [patch]
    assert client.get("/v1/ablations").status_code == 200


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"data": [{"attempts": "one"}]}, r"\$\.data\[0\]\.attempts: 'one' is not of type 'integer'"),
        (({"data": []}, 201), "no documented JSON answer with status 201"),
    ],
)
def test_the_client_detects_an_answer_of_another_shape(app: Flask, answer: Any, error: str) -> None:
    app.view_functions["webhooks.deliveries"] = lambda job_id: answer
    with pytest.raises(AssertionError, match=error):
        app.test_client().get("/v1/jobs/any/deliveries")
