"""A request plans its job once."""

from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from service.core.records.plan import plan
from tests.servers import ON_DISK

pytestmark = ON_DISK

SPEC: dict[str, Any] = {"dataset": {"id": "digits"}, "epochs": 3}


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """The planning of jobs, which counts its calls."""
    counting = Mock(wraps=plan)
    monkeypatch.setattr("service.core.actions.submit.plan", counting)
    return counting


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs?validate_only=true"])
def test_a_post_plans_the_job_once(client: FlaskClient, planned: Mock, path: str) -> None:
    assert client.post(path, json=SPEC).status_code in (200, 202)
    assert planned.call_count == 1


def test_a_wrong_spec_is_planned_once_too(client: FlaskClient, planned: Mock) -> None:
    assert client.post("/v1/jobs", json=SPEC | {"augmentation": {"crop_padding": 8}}).status_code == 422
    assert planned.call_count == 1


def test_a_fork_is_planned_once(client: FlaskClient, planned: Mock) -> None:
    job = client.post("/v1/jobs", json=SPEC).json or {}
    planned.reset_mock()
    patch = [{"op": "replace", "path": "/epochs", "value": 4}]
    assert client.post(job["links"]["fork"], json={"patch": patch}).status_code == 202
    assert planned.call_count == 1
