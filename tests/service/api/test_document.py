"""The API document gives the shape of every answer, and the answers have it."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

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


@pytest.fixture
def check(document: dict[str, Any]) -> Any:
    def check(answer: Any, name: str) -> Any:
        """The body of an answer, once it has the documented shape."""
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        errors = [
            f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(answer.json)
        ]
        assert errors == []
        return answer.json

    return check


@pytest.mark.parametrize("name", SPECS)
def test_the_answers_about_a_job_have_the_documented_shape(client: FlaskClient, check: Any, name: str) -> None:
    check(client.post("/v1/jobs?validate_only=true", json=SPECS[name]), "Plan")
    job = check(client.post("/v1/jobs", json=SPECS[name]), "Job")
    check(client.get("/v1/jobs"), "JobList")
    check(client.get(job["links"]["diagnosis"]), "Diagnosis")
    check(client.get(job["links"]["events"]), "Events")
    check(client.get(job["links"]["logs"]), "Logs")
    check(client.get(job["links"]["history"]), "History")
    check(client.get(job["links"]["artifacts"]), "Manifest")
    patch = [{"op": "replace", "path": "/epochs", "value": 4}, {"op": "add", "path": "/name", "value": None}]
    fork = check(client.post(job["links"]["fork"], json={"patch": patch}), "Job")
    family = check(client.get(fork["links"]["lineage"]), "Lineage")
    assert family["data"][1]["patch"] == patch
    check(client.get(f"/v1/compare?jobs={job['id']},{fork['id']}"), "Comparison")


def test_the_answers_about_other_things_have_it_too(client: FlaskClient, check: Any) -> None:
    check(client.get("/v1/datasets"), "DatasetList")
    patch = [{"op": "replace", "path": "/optimizer/lr", "value": 0.1}]
    factors = ["dropout", {"name": "fast", "patch": patch}]
    ablation = check(client.post("/v1/ablations", json={"spec": DIGITS, "factors": factors}), "Ablation")
    assert [arm["patch"] for arm in ablation["arms"] if arm["name"] == "fast"] == [patch]
    check(client.get("/v1/ablations"), "AblationList")
    check(client.get("/v1/jobs/none"), "Problem")
