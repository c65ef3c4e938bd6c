"""Requests that are refused, and the faults that the answer lists."""

import io
import re
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.http.errors import InvalidChunkSize

from tests.servers import ON_DISK_FIRST
from tests.service.api.requests import SPEC, expect_problem, submit

pytestmark = ON_DISK_FIRST


NOT_APPLICABLE: tuple[tuple[dict[str, Any], str], ...] = (  # operations of a patch, and words of the answer
    ({"op": "test", "path": "/epochs", "value": 4}, "the value at '/epochs' is 3, not 4"),
    ({"op": "test", "path": "/model/arch", "value": None}, 'is "cnn", not null'),
    ({"op": "test", "path": "/nothing", "value": 4}, "nothing is at '/nothing'"),
    ({"op": "test", "path": "/epochs/x", "value": 4}, "nothing is at '/epochs/x'"),
    ({"op": "test", "path": "/model/channels/-", "value": 4}, "nothing is at '/model/channels/-'"),
    ({"op": "remove", "path": "/name/0"}, "nothing is at '/name/0'"),
    ({"op": "remove", "path": "/model/channels/-"}, "nothing is at '/model/channels/-'"),
    ({"op": "remove", "path": ""}, "remove is not possible at ''"),
    ({"op": "replace", "path": "/model/channels/9", "value": 4}, "nothing is at '/model/channels/9'"),
    ({"op": "add", "path": "/epochs/x", "value": 4}, "add is not possible at '/epochs/x'"),
    ({"op": "add", "path": "/model/channels/9", "value": 4}, "add is not possible at '/model/channels/9'"),
    ({"op": "copy", "path": "/name", "from": "/nothing"}, "nothing is at '/nothing'"),
    ({"op": "move", "path": "/model/arch", "from": "/model"}, "a value cannot be moved into itself"),
    ({"op": "add", "path": "epochs", "value": 4}, "'epochs' is not a JSON pointer"),
    ({"op": "copy", "path": "/name", "from": "/~2"}, "'/~2' is not a JSON pointer"),
)


class AnyId(dict[str, str]):
    """Fills every parameter of a path."""

    def __missing__(self, name: str) -> str:
        return "any"


@pytest.mark.parametrize("query", ["", "?validate_only=true"])
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"dataset": {"id": "nothing"}}, "/dataset/id"),
        ({"model": {"channels": [8, 8, 8, 8]}}, "/model/channels"),
        ({"optimizer": {"nesterov": True}}, "/optimizer/nesterov"),
        ({"epochs": 0}, "/epochs"),
        ({"model": {"arch": "layers", "layers": [{"type": "relu"}, {"type": "linear"}]}}, "/model/layers/1"),
        ({"model": {"arch": "layers", "layers": [{"type": "flatten"}]}}, "/model/layers"),
        ({"model": {"arch": "layers"}}, "/model/layers"),
        (
            {"model": {"arch": "squeezenet1_1"}, "regularization": {"stochastic_depth": 0.1}},
            "/regularization/stochastic_depth",
        ),
        ({"augmentation": {"crop_padding": 8}}, "/augmentation/crop_padding"),
        ({"webhook": {"events": ["succeeded"]}}, "/webhook/url"),
    ],
)
def test_spec_that_cannot_run_is_refused_with_its_fault(
    client: FlaskClient, query: str, changes: dict[str, Any], pointer: str
) -> None:
    problem = expect_problem(client.post(f"/v1/jobs{query}", json=SPEC | changes), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert problem["errors"][0]["allowed"]
    assert client.get("/v1/jobs").json["data"] == []


def test_faulty_network_is_not_checked_against_its_default(client: FlaskClient) -> None:
    faulty = {
        "dataset": {"id": "digits"},
        "regularization": {"stochastic_depth": 0.1, "spatial_dropout": 0.1},
        "model": {"arch": "layers", "layers": [{"type": "conv2d", "channels": 0}]},
        "optimizer": {"nesterov": True},
    }
    problem = expect_problem(client.post("/v1/jobs", json=faulty), 422)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/model/layers/0/channels", "/optimizer/nesterov"}


def test_faults_of_values_and_of_combinations_come_together(client: FlaskClient) -> None:
    bad = {
        "dataset": {"id": "nothing", "val_fraction": 9},
        "epochs": 0,
        "optimizer": {"name": "adam", "nesterov": True, "lr": -1},
        "early_stopping": {"monitor": "sleep", "mode": "max"},
    }
    problem = expect_problem(client.post("/v1/jobs", json=bad), 422)
    assert {fault["pointer"] for fault in problem["errors"]} == {
        "/dataset/id",
        "/dataset/val_fraction",
        "/epochs",
        "/optimizer/nesterov",
        "/optimizer/lr",
        "/early_stopping/monitor",
    }
    both = expect_problem(
        client.post("/v1/jobs", json=SPEC | {"model": {"channels": [8] * 8}, "optimizer": {"nesterov": True}}), 422
    )
    assert {fault["pointer"] for fault in both["errors"]} == {"/model/channels", "/optimizer/nesterov"}


def test_malformed_request_is_refused_with_the_reason(client: FlaskClient) -> None:
    as_json = {"content_type": "application/json"}
    assert "not valid JSON" in expect_problem(client.post("/v1/jobs", data=b"{no", **as_json), 400)["detail"]
    assert "deeply" in expect_problem(client.post("/v1/jobs", data=b"[" * 100_000, **as_json), 400)["detail"]
    assert "application/json" in expect_problem(client.post("/v1/jobs", data=b"a=1"), 415)["detail"]
    expect_problem(client.post("/v1/jobs?validate_only=maybe", data=b"[" * 100_000, **as_json), 422)
    expect_problem(client.post("/v1/jobs", json=[]), 422)
    expect_problem(client.post("/v1/jobs", data=b"null", **as_json), 422)
    expect_problem(client.post("/v1/jobs", data=b" " * (2 << 20), **as_json), 413)
    expect_problem(client.get("/v1/jobs/job_nothing"), 404)
    expect_problem(client.get("/nowhere"), 404)
    expect_problem(client.get("/v1/jobs/%00"), 404)
    not_allowed = client.delete("/v1/jobs")
    expect_problem(not_allowed, 405)
    assert "GET" in not_allowed.headers["Allow"]


def test_a_malformed_chunk_is_refused_in_plain_words(client: FlaskClient) -> None:
    class Chunked(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise InvalidChunkSize(b"x" * 3000)

    chunked = {"wsgi.input": Chunked(), "wsgi.input_terminated": True}
    answer = client.post("/v1/jobs", content_type="application/json", environ_overrides=chunked)
    problem = expect_problem(answer, 400)
    assert "a chunk of it is malformed" in problem["detail"]
    assert "b'" not in problem["detail"]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/jobs?limit=0", "/limit"),
        ("/v1/jobs?limit=x", "/limit"),
        ("/v1/jobs?limit=1.5", "/limit"),
        ("/v1/jobs?limit=1e1", "/limit"),
        ("/v1/jobs?limit=%D9%A3", "/limit"),
        ("/v1/jobs?after=garbage", "/after"),
        ("/v1/jobs?status=sleeping", "/status/0"),
        ("/v1/jobs?label=x", "/label/0"),
        ("/v1/jobs?label=a%00=b", "/label/0"),
        ("/v1/jobs?label==", "/label/0"),
        ("/v1/jobs?label==b", "/label/0"),
        ("/v1/jobs?lim=1", "/lim"),
        ("/v1/jobs/j?wait=61", "/wait"),
        ("/v1/jobs/j?wait=nan", "/wait"),
        ("/v1/jobs/j/history?format=xml", "/format"),
        ("/v1/jobs/j/history?after_epoch=-1", "/after_epoch"),
    ],
)
def test_bad_query_is_refused_with_the_parameter(client: FlaskClient, path: str, pointer: str) -> None:
    problem = expect_problem(client.get(path), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert problem["errors"][0]["allowed"]


def test_a_patch_that_cannot_be_applied_says_why(client: FlaskClient) -> None:
    job = submit(client)["id"]
    for operation, words in NOT_APPLICABLE:
        problem = expect_problem(client.post(f"/v1/jobs/{job}/fork", json={"patch": [operation]}), 422)
        assert [fault["pointer"] for fault in problem["errors"]] == ["/patch/0"]
        assert words in problem["errors"][0]["detail"]
        assert problem["errors"][0]["allowed"]


def test_every_route_refuses_unknown_query_parameters(app: Flask) -> None:
    client = app.test_client()
    routes = {
        (path, method.upper())
        for path, operations in client.get("/openapi.json").json["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }
    assert len(routes) > 30
    for path, method in sorted(routes):
        answer = client.open(f"{path.format_map(AnyId())}?unknown=1&unknown=2", method=method)
        problem = expect_problem(answer, 422)
        assert "/unknown" in {fault["pointer"] for fault in problem["errors"]}, (method, path)


def test_many_faults_are_answered_briefly(client: FlaskClient) -> None:
    for flood in (
        {"model": {"channels": [0] * 100_000}},
        {"labels": {f"bad key {n}": "x" for n in range(20_000)}},
        {f"unknown{n}": 1 for n in range(20_000)},
    ):
        answer = client.post("/v1/jobs", json=SPEC | flood)
        assert len(expect_problem(answer, 422)["errors"]) <= 100
        assert len(answer.data) < 100_000


def echoed(text: str) -> int:
    """The length of the longest run of the letter that the tests below send."""
    return max(map(len, re.findall("x+", text)), default=0)


def test_errors_repeat_at_most_200_characters_of_a_request(client: FlaskClient) -> None:
    long = "x" * 5000
    answers = [
        client.post("/v1/jobs", json=SPEC | {"x" * 900_000: 1}),
        client.post("/v1/jobs", json=SPEC | {"labels": {long: long}}),
        client.post("/v1/jobs", json=SPEC | {"name": long, "epochs": long, "device": long, long: {long: long}}),
        client.post("/v1/jobs", json={"dataset": {"id": long}, "model": {"arch": long}}),
        client.post("/v1/jobs", data=f'{{"{long}": NaN, "a": {long}}}', content_type="application/json"),
        client.post("/v1/jobs", data=f'{{"{long}": 1, "{long}": 1}}', content_type="application/json"),
        client.post("/v1/jobs", data=b"{}", content_type=long),
        client.post("/v1/jobs", json=SPEC, headers={"Content-Encoding": long}),
        client.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": long}),
        client.post("/v1/jobs", json=SPEC, headers={"Origin": f"http://{long}"}),
        client.post("/v1/jobs", json=SPEC, headers={"Sec-Fetch-Site": long}),
        client.get("/v1/jobs", headers={"Host": long}),
        client.post("/v1/datasets", data=b"1", content_type=f"image/{long}"),
        client.post("/v1/datasets", data={"file": (io.BytesIO(b"1"), long, "image/png")}),
        client.post("/v1/datasets", data={long: long}),
        client.post("/v1/webhooks/test", json={"url": f"http://{'x' * 1900}"}),
        client.post("/v1/webhooks/test", json={"url": f"http://127.0.0.1/{long}"}),
        client.post("/v1/ablations", json={"spec": SPEC, "factors": [long, {"name": long, "patch": long}]}),
        client.get(f"/v1/jobs?status={long}&label={long}&{long}=1"),
        client.get(f"/v1/compare?jobs={long}"),
        *(
            client.get(path.format(long))
            for path in ("/v1/jobs/{}", "/v1/jobs/{}/events", "/v1/jobs/{0}/artifacts/{0}")
        ),
        *(client.get(path.format(long)) for path in ("/v1/datasets/{}", "/v1/ablations/{}", "/docs/{}", "/static/{}")),
        *(client.get(path.format(long)) for path in ("/?status={0}&label={0}", "/jobs/{}", "/{}", "/compare?jobs={}")),
    ]
    for number, answer in enumerate(answers):
        assert echoed(answer.text) <= 200, (number, answer.text[:1000])
        assert len(answer.text) < 20_000, number


def test_a_path_with_spaces_is_not_repeated_at_length(client: FlaskClient) -> None:
    spaced = "x%20" * 1000
    for path in (f"/v1/jobs/{spaced}", f"/v1/datasets/{spaced}", f"/docs/{spaced}", f"/jobs/{spaced}"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "x x" * 50 not in answer.text


def test_names_that_turn_the_direction_of_text_are_refused(client: FlaskClient) -> None:
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x9B, 0x1B, 0):
        name = f"invoice{chr(code)}fdp.exe"
        for changes, pointer in (({"name": name}, "/name"), ({"labels": {"a": name}}, "/labels/a")):
            problem = expect_problem(client.post("/v1/jobs?validate_only=true", json=SPEC | changes), 422)
            assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
        sent = client.post(f"/v1/datasets?name={quote(name)}", data=b"1", content_type="application/zip")
        expect_problem(sent, 422)


def test_names_with_direction_marks_and_joiners_are_accepted(client: FlaskClient) -> None:
    hebrew, arabic, persian = (
        "\u200f\u05e9\u05dc\u05d5\u05dd\u200e",
        "\u0633\u0644\u0627\u0645\u061c",
        "\u0645\u06cc\u200c\u062e",
    )
    for name in (hebrew, arabic, persian, "\U0001f469\u200d\U0001f52c", "na\u00efve"):
        assert client.post("/v1/jobs?validate_only=true", json=SPEC | {"name": name}).status_code == 200
