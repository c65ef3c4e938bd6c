"""Requests that the tests of the API make, and the checks of their answers."""

import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 3}


def submit(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    """Submit SPEC with these changes; returns the job."""
    answer = client.post("/v1/jobs", json=SPEC | changes)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = json.loads(answer.text)
    return job


def expect_problem(answer: TestResponse, status: int) -> dict[str, Any]:
    """Check that an answer is a complete problem document with this status; returns the document."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.text)
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert problem["detail"]
    assert problem["code"]
    return problem
