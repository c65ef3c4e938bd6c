"""The events of a job over HTTP: in pages, and as live streams without gaps and repetitions."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from service.api import event_stream
from service.app import create_app
from service.core.settings import Settings
from service.core.sql.api_keys import Scope
from service.core.sql.tables import keys
from service.services import Services
from tests.service.api.requests import expect_problem, submit
from tests.service.api.streams import STREAM, live, next_event, parsed
from tests.service.worker_steps import claim, epoch, finish


def run(services: Services, tmp_path: Path, epochs: int = 3) -> None:
    """Take the next job, record epochs and end it."""
    lease = claim(services)
    for number in range(1, epochs + 1):
        services.store.leases.append(lease, [epoch(number, 1 / number, improved=True)])
    finish(services, lease, tmp_path)


def test_events_are_paged_in_order(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = submit(client)["links"]["events"]
    run(services, tmp_path)
    whole = client.get(address).json
    assert [event["type"] for event in whole["data"]] == ["status", "status", "epoch", "epoch", "epoch", "status"]
    assert [event["id"] for event in whole["data"]] == [1, 2, 3, 4, 5, 6]
    assert [event["data"].get("status") for event in whole["data"]][::5] == ["queued", "succeeded"]
    assert whole["data"][2]["data"]["val_loss"] == 1.0
    assert not whole["has_more"]
    part = client.get(f"{address}?after=2&limit=3").json
    assert (part["data"], part["has_more"]) == (whole["data"][2:5], True)
    expect_problem(client.get(f"{address}?after=-1"), 422)
    expect_problem(client.get(f"{address}?limit=0"), 422)
    expect_problem(client.get("/v1/jobs/job_none/events"), 404)


def test_stream_of_an_ended_job_has_all_events_and_ends(
    client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    address = submit(client)["links"]["events"]
    run(services, tmp_path)
    answer = client.get(address, headers=STREAM)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-cache"
    sent = parsed(answer.text)
    assert [event.get("id") for event in sent] == ["1", "2", "3", "4", "5", "6", None]
    assert sent[-1]["event"] == "end"
    assert sent[2]["data"]["at"].endswith("Z")
    rest = parsed(client.get(address, headers=STREAM | {"Last-Event-ID": "4"}).text)
    assert [event.get("id") for event in rest] == ["5", "6", None]
    assert [event["data"] for event in rest] == [event["data"] for event in sent[4:]]
    assert parsed(client.get(f"{address}?after=4", headers=STREAM).text) == rest
    expect_problem(client.get(address, headers=STREAM | {"Last-Event-ID": "x"}), 422)
    expect_problem(client.get("/v1/jobs/job_none/events", headers=STREAM), 404)


def test_live_stream_sends_each_event_once(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    with live(client, submit(client)["links"]["events"]) as parts:
        events = [next_event(parts)]
        lease = claim(services)
        events.append(next_event(parts))
        for number in range(1, 6):
            services.store.leases.append(lease, [epoch(number, 1 / number, improved=True)])
            events.append(next_event(parts))
        finish(services, lease, tmp_path)
        events += parsed("".join(parts))
    assert [event["event"] for event in events] == ["status", "status", *["epoch"] * 5, "status", "end"]
    assert [int(event["id"]) for event in events[:-1]] == list(range(1, 9))


def test_stream_sends_positions_only_on_request(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    lease = claim(services)
    position = {"epoch": 2, "batch": 3, "batches": 3}
    address = job["links"]["events"]
    with live(client, f"{address}?positions=true") as watching, live(client, address) as others:
        for _ in range(2):  # the job is queued, then running
            next_event(watching)
            next_event(others)
        services.wakeups.publish_position(job["id"], {**position, "batch": 2})
        services.wakeups.publish_position(job["id"], position)
        assert next_event(watching) == {"event": "position", "data": {**position, "batch": 2}}
        assert next_event(watching) == {"event": "position", "data": position}
        services.store.leases.append(lease, [epoch(1, 0.5)])
        assert [next_event(parts)["event"] for parts in (watching, others)] == ["epoch", "epoch"]


def test_idle_stream_sends_comments(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "COMMENT_SECONDS", 0.2)
    with live(client, submit(client)["links"]["events"]) as parts:
        assert next_event(parts)["event"] == "status"
        assert next(parts) == ": nothing new\n\n"


@pytest.mark.parametrize("change", [{"revoked_at": 1.0}, {"expires_at": 1.0}])
def test_stream_ends_when_its_key_ends(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, change: dict[str, float]
) -> None:
    monkeypatch.setattr(event_stream, "COMMENT_SECONDS", 0.1)
    app = create_app(replace(settings, auth="keys"))
    services: Services = app.extensions["rightfit"]
    with closing(services.database):
        services.database.migrate()
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {services.keys.create('default', [Scope.ADMIN])}"
        address = submit(client)["links"]["events"]
        with live(client, address) as parts:
            next_event(parts)
            lease = claim(services)
            next_event(parts)
            with services.database.write() as c:
                c.execute(update(keys).values(change))
            rest = []
            for number in range(1, 100):  # the stream is never idle
                services.store.leases.append(lease, [epoch(number, 1 / number, improved=True)])
                time.sleep(0.02)
                if (part := next(parts, None)) is None:
                    break
                rest.append(part)
        assert len(rest) < 99
        assert "event: end" not in "".join(rest), "a client that reads it would take the job for ended"
        expect_problem(client.get(address, headers=STREAM), 401)


def test_stream_of_a_deleted_job_ends(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    with live(client, job["links"]["events"]) as parts:
        next(parts)
        run(services, tmp_path)
        client.delete(job["links"]["self"])
        assert parsed("".join(parts))[-1]["event"] == "end"


def test_streams_beyond_the_limit_are_refused(client: FlaskClient, services: Services) -> None:
    address = submit(client)["links"]["events"]
    held = []
    while services.waiting.enter("default"):
        held.append(1)
    assert len(held) == 128
    refused = client.get(address, headers=STREAM)
    assert "Retry-After" in refused.headers
    problem = expect_problem(refused, 503)
    assert "streams" in problem["detail"]
    services.waiting.leave("default")
    with client.get(address, headers=STREAM, buffered=False) as stream:
        next(iter(stream.response))
        expect_problem(client.get(address, headers=STREAM), 503)
    assert services.waiting.enter("default"), "a closed stream gives its place back"
