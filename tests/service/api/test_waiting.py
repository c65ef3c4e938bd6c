"""Requests that wait for a job to change, and conditional ones."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask.testing import FlaskClient

from service.core.records.job import Phase
from service.core.sql.jobs.queries import JobQueries
from service.services import Services
from tests.service.api.requests import submit
from tests.service.worker_steps import claim, epoch

LONGEST_WAIT = 60  # seconds that a request may ask for


@contextmanager
def answered_before_the_wait_is_over() -> Iterator[None]:
    """Check that a request in this block, which may wait for LONGEST_WAIT, does not use up its wait."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < LONGEST_WAIT


def test_polling_an_unchanged_job_returns_304(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    claim(services)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_an_unchanged_running_job_is_not_read(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = submit(client)["links"]["self"]
    lease = claim(services)
    read = client.get(path)
    with monkeypatch.context() as patch:
        patch.delattr(JobQueries, "get")
        answer = client.get(path, headers={"If-None-Match": read.headers["ETag"]})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == read.headers["ETag"]
    services.store.leases.set_phase(lease, Phase.TRAINING)
    assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 200
    assert client.get("/v1/jobs/job_0", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 404


def test_an_unchanged_history_is_not_read(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(client)
    path, lease = f"{job['links']['history']}?after_epoch=1", claim(services)
    services.store.leases.append(lease, [epoch(1, 0.9), epoch(2, 0.8)])
    first = client.get(path)
    assert [row["epoch"] for row in first.json["data"]] == [2]
    with monkeypatch.context() as patch:
        patch.delattr(JobQueries, "curve")
        assert client.get(path).json == first.json
        assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    services.store.leases.append(lease, [epoch(3, 0.7)])
    answer = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert [row["epoch"] for row in answer.json["data"]] == [2, 3]
    csv = client.get(f"{path}&format=csv")
    assert (csv.mimetype, csv.headers["ETag"]) == ("text/csv", answer.headers["ETag"])


def test_the_answer_to_a_change_is_made_once(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = submit(client)["links"]["self"]
    lease = claim(services)
    first = client.get(path)
    with monkeypatch.context() as patch:
        patch.delattr(JobQueries, "get")
        again = client.get(path)
    assert (again.json, again.headers["ETag"]) == (first.json, first.headers["ETag"])
    assert client.get(path, headers={"If-Match": '"0"'}).status_code == 412
    services.store.leases.set_phase(lease, Phase.TRAINING)
    assert client.get(path).json["phase"] == "training"


def test_wait_ends_when_the_job_changes(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = submit(client)["links"]["self"]
    is_waiting, enter = threading.Event(), services.waiting.enter

    def enter_and_signal(tenant: str) -> bool:
        is_waiting.set()
        return enter(tenant)

    def claim_once_the_request_waits() -> None:
        is_waiting.wait()
        claim(services)

    monkeypatch.setattr(services.waiting, "enter", enter_and_signal)
    worker = threading.Thread(target=claim_once_the_request_waits)
    worker.start()
    with answered_before_the_wait_is_over():
        job = client.get(f"{path}?wait={LONGEST_WAIT}").json
    worker.join()
    assert job["status"] == "running"


def test_wait_for_a_missed_change_ends_at_once(client: FlaskClient, services: Services) -> None:
    path = submit(client)["links"]["self"]
    tag = client.get(path).headers["ETag"]
    claim(services)
    with answered_before_the_wait_is_over():
        job = client.get(f"{path}?wait={LONGEST_WAIT}", headers={"If-None-Match": tag}).json
    assert job["status"] == "running"


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
    with answered_before_the_wait_is_over():
        job = client.get(f"{path}?wait={LONGEST_WAIT}").json
    assert job["status"] == "queued"


def test_wait_without_a_change_ends_after_its_time(client: FlaskClient) -> None:
    path = submit(client)["links"]["self"]
    answer = client.get(f"{path}?wait=0.3")
    assert (answer.status_code, answer.json["status"]) == (200, "queued")
