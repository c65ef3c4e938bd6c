"""The log of a job over HTTP."""

from flask.testing import FlaskClient

from service.core.records.job import Outcome, Status, StopReason
from service.core.records.job_log import LogLine
from service.services import Services
from tests.service.api.requests import expect_problem, submit
from tests.service.worker_steps import claim

LINES = (
    LogLine(1_700_000_000.25, "info", "epoch 1"),
    LogLine(1_700_000_001.5, "error", "ValueError: no\n  at line 1"),
    LogLine(1_700_000_002.0, "output", "crashed"),
)


def test_newest_lines_are_returned_in_order(client: FlaskClient, services: Services) -> None:
    address = submit(client)["links"]["logs"]
    assert client.get(address).json == {"data": [], "is_terminal": False}
    lease = claim(services)
    services.store.leases.write_log(lease, LINES)
    whole = client.get(address).json
    assert whole["data"][0] == {
        "id": 1,
        "attempt": 1,
        "at": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "message": "epoch 1",
    }
    assert [line["message"] for line in whole["data"]] == [line.message for line in LINES]
    assert client.get(f"{address}?tail=2").json["data"] == whole["data"][1:]
    assert client.get(f"{address}?after=1&tail=1").json["data"] == whole["data"][2:]
    services.store.leases.finish(lease, Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
    assert client.get(address).json == {"data": whole["data"], "is_terminal": True}


def test_log_as_text(client: FlaskClient, services: Services) -> None:
    address = submit(client)["links"]["logs"]
    services.store.leases.write_log(claim(services), LINES)
    answer = client.get(f"{address}?format=text")
    assert answer.mimetype == "text/plain"
    first, second, rest, third = answer.text.splitlines()
    assert first == "2023-11-14T22:13:20.250Z attempt 1 info: epoch 1"
    assert (second.split(" ", 1)[1], rest) == ("attempt 1 error: ValueError: no", "  at line 1")
    assert third.endswith("output: crashed")


def test_bad_query_is_refused_with_what_is_allowed(client: FlaskClient) -> None:
    address = submit(client)["links"]["logs"]
    for query in ("tail=0", "tail=10001", "after=-1", "format=xml"):
        problem = expect_problem(client.get(f"{address}?{query}"), 422)
        assert problem["errors"][0]["allowed"]
    expect_problem(client.get("/v1/jobs/job_none/logs"), 404)


def test_log_is_deleted_with_its_job(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    lease = claim(services)
    services.store.leases.write_log(lease, LINES)
    services.store.leases.finish(lease, Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
    assert client.delete(job["links"]["self"]).status_code == 204
    expect_problem(client.get(job["links"]["logs"]), 404)
