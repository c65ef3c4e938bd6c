"""Messages about jobs reach a receiver, signed, once it can be reached, and reach nothing that they must not."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.core.errors import Refused
from service.core.settings import Settings
from service.core.sql.engine import deliveries, webhook_secrets
from service.core.sql.webhook_messages import DELAYS
from service.core.webhooks.addresses import check, networks, resolve
from service.core.webhooks.sender import WebhookSender
from service.services import Services
from tests.servers import ON_DISK
from tests.service.api.test_api import claim, epoch, finish, is_problem, submit

LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, webhook_networks=LOOPBACK)


class Receiver:
    """A server that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Not into the tests' output."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?x=1"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


def hurry(parts: Services) -> None:
    """Make what waits for its next attempt due."""
    with parts.database.write() as c:
        c.execute(update(deliveries).values(due_at=0.0))


def told(client: FlaskClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{job['links']['self']}/deliveries").json["data"]
    return found


def test_what_a_job_came_to_is_sent_signed_and_once(
    client: FlaskClient, parts: Services, receiver: Receiver, tmp_path: Path
) -> None:
    job = submit(client, webhook={"url": receiver.url}, name="mine", labels={"a": "b"})
    finish(parts, claim(parts), tmp_path)
    assert parts.webhook_sender.send_due() == 1
    assert parts.webhook_sender.send_due() == 0
    ((headers, body),) = receiver.got
    secret = client.get("/v1/webhooks/secret").json["secret"]
    message = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    assert message["type"] == "job.succeeded"
    assert message["data"]["job_id"] == job["id"]
    assert (message["data"]["name"], message["data"]["labels"]) == ("mine", {"a": "b"})
    assert message["data"]["stop_reason"] == "max_epochs"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", {name.lower(): value for name, value in headers.items()})
    ((delivery),) = told(client, job)
    assert (delivery["status"], delivery["attempts"], delivery["error"]) == ("delivered", 1, None)
    assert delivery["id"] == headers["webhook-id"]


def test_only_chosen_events_are_told(client: FlaskClient, parts: Services, receiver: Receiver, tmp_path: Path) -> None:
    submit(client, webhook={"url": receiver.url, "events": ["running", "epoch", "diagnosis"]})
    lease = claim(parts)
    parts.store.append(lease, [epoch(1, 0.5, improved=True)])
    parts.store.record_diagnosis(lease, {"verdict": "overfitting", "onset_epoch": 4, "is_final": False})
    finish(parts, lease, tmp_path)
    while parts.webhook_sender.send_due():
        pass
    assert [message["type"] for message in receiver.messages()] == ["job.running", "job.epoch", "job.diagnosis"]
    assert receiver.messages()[1]["data"]["val_loss"] == 0.5
    assert receiver.messages()[2]["data"]["verdict"] == "overfitting"
    submit(client)
    assert parts.webhook_sender.send_due() == 0, "a job without a webhook tells nobody"


def test_a_message_that_is_not_received_is_sent_again_later_by_whoever_lives_then(
    client: FlaskClient, parts: Services, receiver: Receiver
) -> None:
    job = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    receiver.status = 500
    parts.webhook_sender.send_due()
    (delivery,) = told(client, job)
    assert (delivery["status"], delivery["attempts"], delivery["error"]) == (
        "pending", 1, "answered 500 Internal Server Error",
    )  # fmt: skip
    assert parts.webhook_sender.send_due() == 0, "it is not due yet"
    hurry(parts)
    receiver.status = 200
    another = WebhookSender(parts.webhooks, networks(LOOPBACK))
    assert another.send_due() == 1
    assert told(client, job)[0]["status"] == "delivered"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1, "the same message"


def test_a_message_is_given_up_after_its_last_attempt_or_when_its_receiver_is_gone(
    client: FlaskClient, parts: Services, receiver: Receiver
) -> None:
    job = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    receiver.status = 503
    for _ in range(len(DELAYS) + 1):
        hurry(parts)
        assert parts.webhook_sender.send_due() == 1
    hurry(parts)
    assert parts.webhook_sender.send_due() == 0
    assert told(client, job)[0]["status"] == "given_up"
    receiver.status = 410
    gone = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    parts.webhook_sender.send_due()
    assert (told(client, gone)[0]["status"], told(client, gone)[0]["attempts"]) == ("given_up", 1)


def test_a_redirection_is_not_followed(client: FlaskClient, parts: Services, receiver: Receiver) -> None:
    job = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    receiver.status = 302
    parts.webhook_sender.send_due()
    assert "302" in told(client, job)[0]["error"]


def test_a_receiver_that_is_away_is_told_as_such(client: FlaskClient, parts: Services) -> None:
    job = submit(client, webhook={"url": "http://127.0.0.1:1/", "events": ["queued"]})
    parts.webhook_sender.send_due()
    assert "ConnectError" in told(client, job)[0]["error"]


def test_for_a_day_messages_are_signed_with_the_former_secret_too(
    client: FlaskClient, parts: Services, receiver: Receiver
) -> None:
    former = client.get("/v1/webhooks/secret").json["secret"]
    assert client.get("/v1/webhooks/secret").json["secret"] == former
    present = client.post("/v1/webhooks/secret").json["secret"]
    assert present != former
    assert client.post("/v1/webhooks/test", json={"url": receiver.url}).json["is_received"]
    with parts.database.write() as c:
        c.execute(update(webhook_secrets).values(changed_at=0.0))
    client.post("/v1/webhooks/test", json={"url": receiver.url})
    first, later = [(body, {name.lower(): value for name, value in headers.items()}) for headers, body in receiver.got]
    for secret in (former, present):
        assert Webhook(secret).verify(*first)["type"] == "test"
    Webhook(present).verify(*later)
    with pytest.raises(WebhookVerificationError):
        Webhook(former).verify(*later)


@ON_DISK
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/", "http://192.168.1.1/x", "http://169.254.169.254/latest/meta-data", "http://[::1]/",
        "http://[fd00::1]/", "http://0.0.0.0/", "http://[::ffff:10.0.0.1]/", "http://224.0.0.1/", "http://100.64.0.1/",
        "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/", "http://[::127.0.0.1]/", "http://[fec0::1]/",
        "http://[::ffff:0:127.0.0.1]/", "http://192.88.99.1/",
        "ftp://example.com/", "//example.com", "http://", "http://user:pass@example.com/", "http://example.com:99999/",
        "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_called_is_refused_at_once(client: FlaskClient, url: str) -> None:
    answer = client.post("/v1/jobs", json={"dataset": {"id": "digits"}, "webhook": {"url": url}})
    assert [error["pointer"] for error in is_problem(answer, 422)["errors"]] == ["/webhook/url"]
    is_problem(client.post("/v1/webhooks/test", json={"url": url}), 422)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost/", "http://a.localhost:80/", "http://2130706433/"]
)
def test_this_machine_is_refused_unless_it_is_allowed(url: str) -> None:
    with pytest.raises(Refused):
        resolve(url, ())
    if "localhost" not in url and "2130706433" not in url:
        assert resolve(url, networks(LOOPBACK)) == "127.0.0.1"
        check(url, networks(LOOPBACK))


def test_a_name_that_leads_into_a_private_network_is_refused_when_it_is_resolved(
    client: FlaskClient, parts: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("10.0.0.7", 80))]
    monkeypatch.setattr("service.core.webhooks.addresses.socket.getaddrinfo", lambda *_, **__: answers)
    job = submit(client, webhook={"url": "http://example.com/hook", "events": ["queued"]})
    parts.webhook_sender.send_due()
    assert "10.0.0.7 is this machine's or a private network's" in told(client, job)[0]["error"]


def test_a_receiver_that_answers_byte_by_byte_holds_nobody_up(
    client: FlaskClient, parts: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.core.webhooks.sender.DEADLINE", 1.0)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                while not over.wait(0.2):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        job = submit(client, webhook={"url": f"http://127.0.0.1:{server.getsockname()[1]}/", "events": ["queued"]})
        started = time.monotonic()
        parts.webhook_sender.send_due()
        took = time.monotonic() - started
        over.set()
        thread.join()
    assert took < 10
    assert told(client, job)[0]["status"] == "pending"
    assert told(client, job)[0]["error"]


def test_a_process_that_was_too_slow_does_not_undo_what_another_has_done(client: FlaskClient, parts: Services) -> None:
    job = submit(client, webhook={"url": "http://127.0.0.1:1/", "events": ["queued"]})
    slow = parts.webhooks.claim()
    hurry(parts)
    fast = parts.webhooks.claim()
    assert slow is not None
    assert fast is not None
    assert (slow.attempts, fast.attempts) == (1, 2)
    parts.webhooks.delivered(fast)
    parts.webhooks.failed(slow, "late", 1.0, for_good=True)
    assert told(client, job)[0]["status"] == "delivered"
