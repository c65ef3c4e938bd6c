"""/metrics of the API in this process."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from service.app import create_app
from service.core.actions.dispatcher import Dispatcher
from service.core.errors import StorageError
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.api_keys import Scope
from service.core.sql.queue_stats import Counts
from service.core.sql.tables import jobs
from service.core.telemetry.queue_metrics import QueueMetrics
from service.services import Services
from tests.conftest import Redis
from tests.exposition import value
from tests.ports import eventually
from tests.service.api.requests import SPEC

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def everywhere(tmp_path: Path, redis_server: Redis) -> Settings:
    """SQLite will do: what is counted is tested over both databases in tests/service/core/sql/test_queue_stats.py."""
    return Settings.from_env({"RIGHTFIT_HOME": str(tmp_path / "home"), "RIGHTFIT_REDIS_URL": redis_server.url})


def scrape(client: FlaskClient) -> str:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def test_requests_are_counted_by_route_and_not_by_path(client: FlaskClient) -> None:
    job_id = client.post("/v1/jobs", json=SPEC).json["id"]
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}", "/v1/jobs/job_none", "/made/up/1", "/made/up/2", "/x%0ay"):
        client.get(path)
    client.open("/made/up", method="BREW")
    text = scrape(client)
    counted = "rightfit_http_requests_total"
    assert value(text, counted, method="POST", route="/v1/jobs", status="202") == 1
    assert value(text, counted, method="GET", route="/v1/jobs/<job_id>", status="200") == 2
    assert value(text, counted, method="GET", route="/v1/jobs/<job_id>", status="404") == 1
    assert value(text, counted, method="GET", route="unmatched", status="404") == 3
    assert value(text, counted, method="other", route="unmatched", status="404") == 1
    assert job_id not in text
    assert "made" not in text
    timed = "rightfit_http_request_duration_seconds_count"
    assert value(text, timed, method="GET", route="/v1/jobs/<job_id>") == 3
    assert value(text, "rightfit_http_requests_in_flight") == 1  # the scrape itself


def test_stream_is_in_flight_until_it_ends(client: FlaskClient) -> None:
    job_id = client.post("/v1/jobs", json=SPEC).json["id"]
    stream = client.get(f"/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream"})
    assert value(scrape(client), "rightfit_http_requests_in_flight") == 2
    stream.close()
    assert value(scrape(client), "rightfit_http_requests_in_flight") == 1


@pytest.mark.parametrize(
    ("method", "headers", "status"), [("GET", {}, "200"), ("HEAD", {}, "200"), ("GET", {"Range": "bytes=0-9"}, "206")]
)
def test_file_is_counted_once_it_is_sent(
    client: FlaskClient, method: str, headers: dict[str, str], status: str, caplog: pytest.LogCaptureFixture
) -> None:
    """werkzeug hands a file to the server as it is, and never closes the response around it."""
    path = "/docs/assets/swagger-ui.css"
    with caplog.at_level("INFO", "service.http.request_log"):
        sent = client.open(path, method=method, headers=headers)
        assert value(scrape(client), "rightfit_http_requests_in_flight") == 2
        sent.close()
    text = scrape(client)
    route = "/docs/assets/<path:filename>"
    assert value(text, "rightfit_http_requests_total", method=method, route=route, status=status) == 1
    assert value(text, "rightfit_http_requests_in_flight") == 1
    assert [record.path for record in caplog.records if record.message == "request"] == [path]  # type: ignore[attr-defined]


def test_queued_and_ended_jobs_are_counted(client: FlaskClient) -> None:
    ids = [client.post("/v1/jobs", json=SPEC | {"priority": 7}).json["id"] for _ in range(3)]
    client.post(f"/v1/jobs/{ids[0]}/cancel")
    text = scrape(client)
    assert value(text, "rightfit_database_up") == 1
    assert value(text, "rightfit_queue_jobs", priority="7") == 2
    assert value(text, "rightfit_queue_jobs", priority="0") == 0
    assert value(text, "rightfit_jobs", status="queued") == 2
    assert eventually(lambda: value(scrape(client), "rightfit_jobs", status="cancelled") == 1)


def test_storage_errors_are_counted(services: Services, client: FlaskClient, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        services.storage.delete("../outside")
    assert value(scrape(client), "rightfit_storage_errors_total", operation="delete") == 1


def test_reaped_jobs_are_counted(services: Services, client: FlaskClient) -> None:
    services.store.actions.submit("t", NewJob(JobSpec.from_dict(SPEC).filled(1)))
    assert services.store.leases.claim("worker", -1)
    reaped: list[int] = []
    dispatcher = Dispatcher(
        services.settings, services.store, services.registry, services.submission.queue, reaped.append
    )
    dispatcher.reap()
    dispatcher.reap()
    assert reaped == [1]


def test_job_keeps_trace_and_request_id_of_its_request(services: Services, client: FlaskClient) -> None:
    sent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-Id": "mine"}
    job_id = client.post("/v1/jobs", json=SPEC, headers=sent).json["id"]
    other = client.post("/v1/jobs", json=SPEC, headers={"traceparent": "nonsense"}).json["id"]
    with services.database.read() as c:
        kept = {row.id: row.traceparent for row in c.execute(select(jobs.c.id, jobs.c.traceparent))}
    assert kept == {job_id: sent["traceparent"], other: None}
    lease = services.store.leases.claim("worker", 60)
    assert lease is not None
    assert (lease.job_id, lease.traceparent) == (job_id, sent["traceparent"])
    first = client.get(f"/v1/jobs/{job_id}/events").json["data"][0]
    assert first["data"] == {"status": "queued", "request_id": "mine"}


def test_metrics_can_be_limited_to_administrators(settings: Settings) -> None:
    app = create_app(replace(settings, auth="keys", metrics="keys"))
    services: Services = app.extensions["rightfit"]
    services.database.migrate()
    client = app.test_client()
    assert client.get("/metrics").status_code == 401
    for scope, status in ((Scope.READ, 403), (Scope.ADMIN, 200)):
        key = services.keys.create("t", [scope])
        assert client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == status
    services.database.close()
    assert create_app(replace(settings, auth="keys")).test_client().get("/metrics").status_code == 200


class Hanging:
    """A database that does not answer until it is released."""

    def __init__(self) -> None:
        self.queries, self.released = 0, threading.Event()

    def take(self) -> Counts:
        self.queries += 1
        self.released.wait()
        raise AssertionError


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.released.set()


def test_scrape_does_not_wait_for_a_hanging_database(hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.core.telemetry.queue_metrics.PATIENCE", 0.05)
    monkeypatch.setattr("service.core.telemetry.queue_metrics.BREAKER_SECONDS", 0.0)
    stats: Any = hanging
    standing = QueueMetrics(stats)
    for _ in range(3):
        [up] = standing.collect()
        assert (up.name, up.samples[0].value) == ("rightfit_database_up", 0)
    hanging.released.set()
    standing._asking.shutdown()
    assert hanging.queries == 1, "no second query while the first one hangs"


def test_scrape_works_without_the_database(settings: Settings, tmp_path: Path) -> None:
    away = replace(settings, database_url=f"sqlite:///{tmp_path}/nowhere/at/all.db")
    text = scrape(create_app(away).test_client())
    assert value(text, "rightfit_database_up") == 0
    assert value(text, "rightfit_queue_jobs", priority="5") is None
    assert value(text, "rightfit_http_requests_in_flight") == 1
