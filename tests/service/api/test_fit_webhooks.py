"""The message about the end of a fit."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks.webhooks import Webhook

from service.core.settings import Settings
from service.services import Services
from tests.service.api.fits import REQUEST, run_to_the_end
from tests.service.api.receivers import LOOPBACK, Receiver
from tests.service.api.requests import expect_problem


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, webhook_networks=LOOPBACK)


def test_the_end_of_a_fit_is_sent_once_and_signed(
    client: FlaskClient, app: Flask, services: Services, receiver: Receiver, tmp_path: Path
) -> None:
    given = {**REQUEST, "jobs": 3, "name": "mine", "labels": {"a": "b"}, "webhook": {"url": receiver.url}}
    fit = client.post("/v1/fits", json=given).json
    run_to_the_end(app, services, fit["id"], tmp_path)
    assert services.webhook_sender.send_due()
    assert not services.webhook_sender.send_due(), "the jobs send none"
    ((headers, body),) = receiver.got
    secret = client.get("/v1/webhooks/secret").json["secret"]
    message = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    data, ended = message["data"], client.get(fit["links"]["self"]).json
    assert (message["type"], data["fit_id"], data["status"]) == ("fit.succeeded", fit["id"], "succeeded")
    assert (data["name"], data["labels"], data["error"]) == ("mine", {"a": "b"}, None)
    assert data["best"]["job"] == ended["best"]["job"]
    assert data["gain"]["is_proved"] == ended["gain"]["is_proved"]
    (delivery,) = client.get(f"{fit['links']['self']}/deliveries").json["data"]
    assert (delivery["type"], delivery["status"]) == ("fit.succeeded", "delivered")
    assert client.delete(fit["links"]["self"]).status_code == 204
    expect_problem(client.get(f"{fit['links']['self']}/deliveries"), 404)


def test_the_events_of_the_webhook_choose_the_message(
    client: FlaskClient, app: Flask, services: Services, receiver: Receiver, tmp_path: Path
) -> None:
    for events, sent in ((["succeeded"], []), (["cancelled"], ["fit.cancelled"])):
        webhook = {"url": receiver.url, "events": events}
        fit = client.post("/v1/fits", json={**REQUEST, "webhook": webhook}).json
        assert client.post(fit["links"]["cancel"]).status_code == 202
        run_to_the_end(app, services, fit["id"], tmp_path)
        while services.webhook_sender.send_due():
            pass
        assert [message["type"] for message in receiver.messages()] == sent


def test_a_webhook_at_a_refused_address_is_a_fault_of_the_fit(client: FlaskClient) -> None:
    for address in ("http://10.0.0.1/", "ftp://example.com/"):
        problem = expect_problem(client.post("/v1/fits", json={**REQUEST, "webhook": {"url": address}}), 422)
        assert problem["errors"][0]["pointer"] == "/webhook/url"
