"""Requests that wait for a job to change, and conditional ones."""

import threading
import time

from flask.testing import FlaskClient

from service.services import Services
from tests.service.api.requests import submit
from tests.service.worker_steps import claim


def test_polling_an_unchanged_job_returns_304(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    claim(services)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_wait_ends_when_the_job_changes(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    threading.Timer(0.3, claim, [services]).start()
    started = time.monotonic()
    job = client.get(f"{path}?wait=30").json
    assert job["status"] == "running"
    assert time.monotonic() - started < 15


def test_wait_for_a_missed_change_ends_at_once(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    tag = client.get(path).headers["ETag"]
    claim(services)
    started = time.monotonic()
    assert client.get(f"{path}?wait=30", headers={"If-None-Match": tag}).json["status"] == "running"
    assert time.monotonic() - started < 15


def test_new_queue_position_changes_the_etag(client: FlaskClient) -> None:
    first, second = submit(client)["links"], submit(client)["links"]
    tag = client.get(second["self"]).headers["ETag"]
    client.post(first["cancel"])
    answer = client.get(second["self"], headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json["queue"]["jobs_ahead"]) == (200, 0)


def test_waits_beyond_the_limit_are_answered_at_once(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    while services.waiting.enter("default"):
        pass
    started = time.monotonic()
    assert client.get(f"{path}?wait=60").json["status"] == "queued"
    assert time.monotonic() - started < 30


def test_wait_without_a_change_ends_after_its_time(client: FlaskClient) -> None:
    path = submit(client)["links"]["self"]
    answer = client.get(f"{path}?wait=0.3")
    assert (answer.status_code, answer.json["status"]) == (200, "queued")
