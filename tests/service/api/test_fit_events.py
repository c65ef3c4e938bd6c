"""The events of a fit over HTTP, in pages and as live streams."""

from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from service.conductor.conductor import conduct
from service.services import Services
from tests.service.api.fits import REQUEST, better_than_the_base, run_to_the_end, train
from tests.service.api.requests import expect_problem
from tests.service.api.streams import STREAM, live, next_event, parsed


def test_each_step_of_a_fit_is_an_event_and_so_is_its_end(
    client: FlaskClient, app: Flask, services: Services, tmp_path: Path
) -> None:
    fit = client.post("/v1/fits", json={**REQUEST, "jobs": 3}).json
    address = fit["links"]["events"]
    (first,) = client.get(address).json["data"]
    assert (first["id"], first["type"], first["data"]["kind"]) == (1, "step", "start")
    assert (first["data"]["trial"], first["data"]["job"]) == (1, fit["steps"][0]["job"])
    assert first["data"]["outcome"] is None
    run_to_the_end(app, services, fit["id"], tmp_path)
    events = client.get(address).json["data"]
    steps = client.get(fit["links"]["self"]).json["steps"]
    assert [event["id"] for event in events] == [*(step["number"] for step in steps), len(steps) + 1]
    assert [event["data"]["outcome"] for event in events[:-1]] == [step["outcome"] for step in steps]
    assert "val_loss 0.9 after" in events[0]["data"]["outcome"]
    assert events[-1]["data"] == {"status": "succeeded", "error": None}
    part = client.get(f"{address}?after=1&limit=2").json
    assert (part["data"], part["has_more"]) == (events[1:3], True)
    expect_problem(client.get("/v1/fits/fit_none/events"), 404)


def test_stream_of_a_fit_sends_each_step_once(
    client: FlaskClient, app: Flask, services: Services, tmp_path: Path
) -> None:
    created = client.post("/v1/fits", json={**REQUEST, "jobs": 2}).json
    address = created["links"]["events"]
    with live(client, address) as parts:
        events = [next_event(parts)]
        train(services, tmp_path, better_than_the_base)
        with app.app_context():
            lease = services.fit_leases.claim(0.0)  # held by nobody afterwards
            assert lease is not None
            conduct(lease)
        events.append(next_event(parts))
        run_to_the_end(app, services, created["id"], tmp_path)
        events += parsed("".join(parts))
    ids = [int(event["id"]) for event in events[:-1]]
    assert ids == list(range(1, len(ids) + 1))
    assert [event["event"] for event in events[-2:]] == ["status", "end"]
    rest = parsed(client.get(address, headers=STREAM | {"Last-Event-ID": str(ids[-2])}).text)
    assert [event["event"] for event in rest] == ["status", "end"]
