"""JSON bodies are read strictly, and with the types that the API document states."""

import json
from collections.abc import Iterator
from typing import Any

from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from service.schemas.spec import JobSpecSchema
from tests.servers import ON_DISK
from tests.service.api.requests import SPEC, expect_problem, submit

pytestmark = ON_DISK

PLAN = "/v1/jobs?validate_only=true"
LAYERS = '{"arch": "layers", "layers": [{"type": "flatten"}, {"type": "linear", "features": 1.0}, {"type": "linear"}]}'
DATASET = '"dataset": {"id": "digits"}'

REFUSED = [
    (f'{{{DATASET}, "epochs": 5, "epochs": 5}}', "/epochs"),
    ('{"dataset": {"id": "digits", "id": "mnist"}}', "/dataset/id"),
    (f'{{{DATASET}, "labels": {{"a/b": "1", "a\\u002fb": "2"}}}}', "/labels/a~1b"),
    (
        f'{{{DATASET}, "model": {{"layers": [{{"type": "relu"}}, {{"type": "relu", "type": "relu"}}]}}}}',
        "/model/layers/1/type",
    ),
    (f'{{{DATASET}, "unknown": [{{"a": {{"b": 1, "b": 2}}}}]}}', "/unknown/0/a/b"),
    ('[{"a": 1, "a": 2}]', "/0/a"),
    (f'{{{DATASET}, "optimizer": {{"lr": NaN}}}}', "/optimizer/lr"),
    (f'{{{DATASET}, "optimizer": {{"betas": [0.9, Infinity]}}}}', "/optimizer/betas/1"),
    (f'{{{DATASET}, "max_seconds": -Infinity}}', "/max_seconds"),
    (f'{{{DATASET}, "max_seconds": 1e999}}', "/max_seconds"),
    (f'{{{DATASET}, "max_seconds": -{"9" * 400}.0}}', "/max_seconds"),
    (f'{{{DATASET}, "seed": {"9" * 5000}}}', "/seed"),
    ("NaN", ""),
]
OTHERS = [
    (json.dumps(SPEC).encode("utf-16"), "UTF-16"),
    (json.dumps(SPEC).encode("utf-16-le"), "UTF-16"),
    (json.dumps(SPEC).encode("utf-32"), "UTF-32"),
    ('{"name": "Kätzchen"}'.encode("latin-1"), "not UTF-8: byte 11 is 0xe4"),
    (b'{"epochs": 5,}', "line 1, column 14"),
    (b"  ", "not valid JSON"),
]
WHOLE = [
    ('"epochs": 3.0', "epochs", 3),
    ('"epochs": 1e2', "epochs", 100),
    ('"seed": 4294967295.0', "seed", 4294967295),
    ('"model": {"channels": [8.0, 16]}', "model.channels.0", 8),
    ('"early_stopping": {"patience": 7.0}', "early_stopping.patience", 7),
    ('"augmentation": {"rand_augment": {"magnitude": 5.0}}', "augmentation.rand_augment.magnitude", 5),
    (
        f'"model": {LAYERS}',
        "model.layers.1.features",
        1,
    ),
]


def post(client: FlaskClient, body: str | bytes, path: str = PLAN) -> Any:
    return client.post(path, data=body, content_type="application/json")


def pointers(answer: Any) -> list[str]:
    return [fault["pointer"] for fault in expect_problem(answer, 422)["errors"]]


def test_what_json_does_not_have_is_refused_at_its_place(client: FlaskClient) -> None:
    for body, pointer in REFUSED:
        answer = post(client, body)
        assert pointers(answer) == [pointer]
        assert answer.json["errors"][0]["allowed"]


def test_every_endpoint_reads_json_strictly(client: FlaskClient) -> None:
    job = submit(client)["id"]
    document = client.get("/openapi.json").json
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    bodies = {path: post.get("requestBody", {}).get("content", {}) for path, post in posts.items()}
    del bodies["/v1/diagnoses"]  # it takes the JSON files of frameworks, which have NaN
    paths = [path for path, body in bodies.items() if "application/json" in body]
    assert {"/v1/jobs", "/v1/ablations", "/v1/jobs/{job_id}/fork", "/v1/webhooks/test"} <= set(paths)
    for path in (path.format(job_id=job) for path in paths):
        assert pointers(post(client, '{"a": 1, "b": {"c": NaN}, "a": 2}', path)) == ["/a", "/b/c"]
        assert "UTF-16" in expect_problem(post(client, '{"a": 1}'.encode("utf-16"), path), 400)["detail"]


def test_non_finite_numbers_are_refused_by_name(client: FlaskClient) -> None:
    for name in ("NaN", "Infinity", "-Infinity", "1e999"):
        assert f" {name} " in expect_problem(post(client, f'{{{DATASET}, "max_seconds": {name}}}'), 422)["detail"]


def test_a_byte_order_mark_is_taken(client: FlaskClient) -> None:
    answer = post(client, b"\xef\xbb\xbf" + json.dumps(SPEC).encode(), "/v1/jobs")
    assert answer.status_code == 202
    keyed = {"headers": {"Idempotency-Key": "k"}, "content_type": "application/json"}
    first = client.post("/v1/jobs", data=b"\xef\xbb\xbf" + json.dumps(SPEC).encode(), **keyed)
    assert client.post("/v1/jobs", data=json.dumps(SPEC), **keyed).json["id"] == first.json["id"]


def test_another_encoding_or_no_json_is_refused_with_the_reason(client: FlaskClient) -> None:
    for body, words in OTHERS:
        assert words in expect_problem(post(client, body), 400)["detail"]


def at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def test_a_number_without_a_fraction_is_a_whole_number(client: FlaskClient) -> None:
    for changes, path, expected in WHOLE:
        answer = post(client, f"{{{DATASET}, {changes}}}")
        assert answer.status_code == 200, answer.text
        value = at(answer.json["spec"], path)
        assert (value, type(value)) == (expected, int)


def test_every_option_agrees_with_the_api_document(client: FlaskClient) -> None:
    document, spec = client.get("/openapi.json").json, JobSpecSchema()
    valid = Draft202012Validator(
        {"$ref": "#/components/schemas/JobSpec", "components": document["components"]}
    ).is_valid
    names = list(options(document["components"]["schemas"]))
    assert len(names) > 60
    for value in (0, 0.0, 0.5, 1, 1.0, 2.5, -1, 1e300, 100_000.0, True, "1", None, [0.5, 1], [1.0, 0]):
        given = [SPEC | ({part: {name: value}} if part else {name: value}) for part, name in names]
        assert [one for one in given if valid(one) == bool(spec.validate(one))] == []


def options(schemas: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The part and the name of every option but those of the data set; without a part for options of the spec."""
    for name, schema in schemas["JobSpec"]["properties"].items():
        if name == "dataset":
            continue
        yield "", name
        for reference in (one["$ref"] for one in [schema, *schema.get("anyOf", ())] if "$ref" in one):
            yield from ((name, option) for option in schemas[reference.rpartition("/")[2]]["properties"])


def test_seeds_of_an_ablation_may_be_written_with_a_point(client: FlaskClient) -> None:
    body = {"spec": SPEC, "factors": ["dropout"], "seeds": 2.0}
    answer = client.post("/v1/ablations", json=body)
    assert (answer.status_code, len(answer.json["seeds"])) == (202, 2)
    assert pointers(client.post("/v1/ablations", json=body | {"seeds": 2.5})) == ["/seeds"]
    assert pointers(client.post("/v1/ablations", json=body | {"seeds": "2"})) == ["/seeds"]
