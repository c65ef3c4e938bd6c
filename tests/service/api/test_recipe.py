"""Specs with a recipe over HTTP: planned, submitted, refused, and in experiments."""

from flask.testing import FlaskClient

from tests.servers import ON_DISK_FIRST
from tests.service.api.requests import expect_problem

GOOD = {"dataset": {"id": "digits"}, "recipe": "good", "epochs": 4}


@ON_DISK_FIRST
def test_a_plan_shows_what_the_recipe_filled_and_why(client: FlaskClient) -> None:
    plan = client.post("/v1/jobs?validate_only=true", json=GOOD).json or {}
    values = {pointer: value for choice in plan["recipe"] for pointer, value in choice["values"].items()}
    assert values["/model/norm"] == plan["spec"]["model"]["norm"] == "batch"
    assert "/epochs" not in values
    assert plan["spec"]["epochs"] == 4
    assert all(choice["reason"] and choice["source"] for choice in plan["recipe"])


def test_a_plan_without_a_recipe_lists_no_choices(client: FlaskClient) -> None:
    plan = client.post("/v1/jobs?validate_only=true", json={"dataset": {"id": "digits"}}).json or {}
    assert (plan["recipe"], plan["spec"]["model"]["norm"]) == ([], "none")


def test_a_job_has_the_filled_spec_and_no_recipe(client: FlaskClient) -> None:
    job = client.post("/v1/jobs", json=GOOD).json or {}
    assert (job["spec"]["recipe"], job["spec"]["schedule"]["name"], job["spec"]["epochs"]) == (None, "onecycle", 4)


def test_a_fork_of_it_keeps_what_it_undoes(client: FlaskClient) -> None:
    job = client.post("/v1/jobs", json=GOOD).json or {}
    patch = [{"op": "replace", "path": "/model/norm", "value": "none"}]
    fork = client.post(f"/v1/jobs/{job['id']}/fork", json={"patch": patch}).json or {}
    assert fork["spec"]["model"]["norm"] == "none"


def test_the_jobs_of_folds_are_filled(client: FlaskClient) -> None:
    folds = client.post("/v1/folds", json={"spec": GOOD, "folds": 2}).json or {}
    assert folds["spec"]["model"]["norm"] == "batch"


def test_faults_are_those_of_the_filled_spec(client: FlaskClient) -> None:
    problem = expect_problem(client.post("/v1/jobs", json=GOOD | {"schedule": {"warmup_epochs": 2}}), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/schedule/warmup_epochs"]
    wrong = GOOD | {"recipe": "best", "dataset": {"id": 3}}
    problem = expect_problem(client.post("/v1/jobs", json=wrong), 422)
    assert {fault["pointer"] for fault in problem["errors"]} == {"/dataset/id", "/recipe"}
    problem = expect_problem(client.post("/v1/jobs", json={"recipe": "good", "dataset": {"id": "none"}}), 422)
    assert [fault["pointer"] for fault in problem["errors"]] == ["/dataset/id"]
