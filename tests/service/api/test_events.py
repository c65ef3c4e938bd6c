"""The event log over HTTP: pages of it, and live streams that miss nothing and repeat nothing."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.api import events
from service.core.sql.jobs.store import Lease
from service.services import Services
from tests.service.api.requests import expect_problem, submit
from tests.service.worker_steps import claim, epoch, finish

STREAM = {"Accept": "text/event-stream"}
Told = dict[str, Any]


def parsed(text: str) -> list[Told]:
    """The events in a stream's text; comments and the time to retry are no events."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ")[::2] for line in block.splitlines() if line and not line.startswith(":")]
        fields = dict(lines)
        if "data" in fields:
            found.append(fields | {"data": json.loads(fields["data"])})
    return found


def run(services: Services, tmp_path: Path, epochs: int = 3, pause: float = 0.0) -> Lease:
    lease = claim(services)
    for number in range(1, epochs + 1):
        time.sleep(pause)
        services.store.append(lease, [epoch(number, 1 / number, improved=True)])
    finish(services, lease, tmp_path)
    return lease


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
    told = parsed(answer.text)
    assert [event.get("id") for event in told] == ["1", "2", "3", "4", "5", "6", None]
    assert told[-1]["event"] == "end"
    assert told[2]["data"]["at"].endswith("Z")
    rest = parsed(client.get(address, headers=STREAM | {"Last-Event-ID": "4"}).text)
    assert [event.get("id") for event in rest] == ["5", "6", None]
    assert [event["data"] for event in rest] == [event["data"] for event in told[4:]]
    assert parsed(client.get(f"{address}?after=4", headers=STREAM).text) == rest
    expect_problem(client.get(address, headers=STREAM | {"Last-Event-ID": "x"}), 422)
    expect_problem(client.get("/v1/jobs/job_none/events", headers=STREAM), 404)


def test_live_stream_sends_each_event_once(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    address = submit(client)["links"]["events"]
    worker = threading.Thread(target=run, args=(services, tmp_path, 5, 0.2))
    worker.start()
    started = time.monotonic()
    told = parsed(client.get(address, headers=STREAM).text)
    worker.join()
    assert time.monotonic() - started < 20
    assert [int(event["id"]) for event in told[:-1]] == list(range(1, 9))
    assert sum(event["event"] == "epoch" for event in told) == 5


def test_idle_stream_sends_comments(
    client: FlaskClient, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.2)
    address = submit(client)["links"]["events"]
    worker = threading.Thread(target=run, args=(services, tmp_path, 1, 1.0))
    worker.start()
    text = client.get(address, headers=STREAM).text
    worker.join()
    assert ": nothing new\n\n" in text


def test_stream_of_a_deleted_job_ends(client: FlaskClient, services: Services, tmp_path: Path) -> None:
    job = submit(client)
    stream = client.get(job["links"]["events"], headers=STREAM, buffered=False)
    seen = iter(stream.response)
    next(seen)
    run(services, tmp_path)
    client.delete(job["links"]["self"])
    rest = parsed("".join(part.decode() if isinstance(part, bytes) else str(part) for part in seen))
    assert rest[-1]["event"] == "end"
    stream.close()


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
    assert services.waiting.enter("default"), "it was given back when its client went away"
