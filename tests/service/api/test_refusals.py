"""Requests that are refused, and the faults that the answer lists."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.servers import ON_DISK_FIRST
from tests.service.api.requests import SPEC, expect_problem

pytestmark = ON_DISK_FIRST


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


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/jobs?limit=0", "/limit"),
        ("/v1/jobs?limit=x", "/limit"),
        ("/v1/jobs?after=garbage", "/after"),
        ("/v1/jobs?status=sleeping", "/status/0"),
        ("/v1/jobs?label=x", "/label/0"),
        ("/v1/jobs?label=a%00=b", "/label/0"),
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
