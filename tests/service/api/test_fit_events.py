"""The events of a fit over HTTP, in pages and as live streams."""

from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from service.conductor.conductor import Conductor
from service.services import Services
from tests.service.api.requests import expect_problem
from tests.service.api.streams import STREAM, live, next_event, parsed
from tests.service.fits import LOSSES, create_fit, run_fit, train


def test_each_step_of_a_fit_is_an_event_and_so_is_its_end(client: FlaskClient, app: Flask, tmp_path: Path) -> None:
    fit = create_fit(client)
    address = fit["links"]["events"]
    (first,) = client.get(address).json["data"]
    assert (first["id"], first["type"], first["data"]["kind"]) == (1, "step", "start")
    assert (first["data"]["trial"], first["data"]["job"]) == (1, fit["base"]["job"])
    assert first["data"]["outcome"] is None
    run_fit(app, tmp_path)
    events = client.get(address).json["data"]
    steps = client.get(fit["links"]["self"]).json["steps"]
    assert [event["id"] for event in events] == [*(step["number"] for step in steps), len(steps) + 1]
    assert [event["data"]["why"] for event in events[:-1]] == [step["why"] for step in steps]
    assert events[0]["data"]["outcome"] == "val_loss 0.9 after 1 epochs, then ended"
    assert events[-1]["data"] == {"status": "succeeded", "error": None}
    part = client.get(f"{address}?after=1&limit=2").json
    assert (part["data"], part["has_more"]) == (events[1:3], True)
    expect_problem(client.get("/v1/fits/fit_none/events"), 404)


def test_stream_of_a_fit_sends_each_step_once(
    client: FlaskClient, app: Flask, services: Services, tmp_path: Path
) -> None:
    address = create_fit(client)["links"]["events"]
    conductor = Conductor(app)
    with live(client, address) as parts:
        events = [next_event(parts)]
        for loss in LOSSES:
            train(services, tmp_path, loss)
            with app.app_context():
                conductor.turn()
            events.append(next_event(parts))
        events += parsed("".join(parts))
    ids = [int(event["id"]) for event in events[:-1]]
    assert ids == list(range(1, len(ids) + 1))
    assert [event["event"] for event in events[-2:]] == ["status", "end"]
    rest = parsed(client.get(address, headers=STREAM | {"Last-Event-ID": str(ids[-2])}).text)
    assert [event["event"] for event in rest] == ["status", "end"]
