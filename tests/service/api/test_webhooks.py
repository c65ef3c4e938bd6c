"""Webhooks: what is sent, how it is signed and repeated, and which addresses are refused."""

import ipaddress
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.core.errors import Refused
from service.core.records.submission import NewJob
from service.core.settings import Settings
from service.core.spec import JobSpec
from service.core.sql.tables import deliveries, webhook_secrets
from service.core.sql.webhook_messages import DELAYS
from service.core.text.hosts import networks
from service.core.webhooks.addresses import check, resolve
from service.core.webhooks.sender import WebhookSender
from service.services import Services
from tests.ports import eventually
from tests.servers import ON_DISK
from tests.service.api.receivers import LOOPBACK, Receiver
from tests.service.api.requests import SPEC, expect_problem, submit
from tests.service.worker_steps import claim, epoch, finish

SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 "
    "203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 "
    "2001::/32 2001:1::1/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 "
    "2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8"
)
RECEIVER_SECONDS = 120  # that a slow receiver goes on sending if nothing cuts it off


@pytest.fixture
def settings(everywhere: Settings) -> Settings:
    return replace(everywhere, webhook_networks=LOOPBACK)


def hurry(services: Services) -> None:
    """Make every delivery that waits for its next attempt due now."""
    with services.database.write() as c:
        c.execute(update(deliveries).values(due_at=0.0))


def deliveries_of(client: FlaskClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    deliveries: list[dict[str, Any]] = client.get(f"{job['links']['self']}/deliveries").json["data"]
    return deliveries


def test_outcome_is_sent_once_and_signed(
    client: FlaskClient, services: Services, receiver: Receiver, tmp_path: Path
) -> None:
    job = submit(client, webhook={"url": receiver.url}, name="mine", labels={"a": "b"})
    finish(services, claim(services), tmp_path)
    assert services.webhook_sender.send_due() == 1
    assert services.webhook_sender.send_due() == 0
    ((headers, body),) = receiver.got
    secret = client.get("/v1/webhooks/secret").json["secret"]
    message = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    assert message["type"] == "job.succeeded"
    assert message["data"]["job_id"] == job["id"]
    assert (message["data"]["name"], message["data"]["labels"]) == ("mine", {"a": "b"})
    assert message["data"]["stop_reason"] == "max_epochs"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", {name.lower(): value for name, value in headers.items()})
    (delivery,) = deliveries_of(client, job)
    assert (delivery["status"], delivery["attempts"], delivery["error"]) == ("delivered", 1, None)
    assert delivery["id"] == headers["webhook-id"]


def test_only_chosen_events_are_sent(
    client: FlaskClient, services: Services, receiver: Receiver, tmp_path: Path
) -> None:
    submit(client, webhook={"url": receiver.url, "events": ["running", "epoch", "diagnosis"]})
    lease = claim(services)
    services.store.leases.append(lease, [epoch(1, 0.5, improved=True)])
    services.store.leases.record_diagnosis(lease, {"verdict": "overfitting", "onset_epoch": 4, "is_final": False})
    finish(services, lease, tmp_path)
    while services.webhook_sender.send_due():
        pass
    assert [message["type"] for message in receiver.messages()] == ["job.running", "job.epoch", "job.diagnosis"]
    assert receiver.messages()[1]["data"]["val_loss"] == 0.5
    assert receiver.messages()[2]["data"]["verdict"] == "overfitting"
    submit(client)
    assert services.webhook_sender.send_due() == 0, "a job without a webhook sends nothing"


def test_failed_message_is_sent_again_by_any_process(
    client: FlaskClient, services: Services, receiver: Receiver
) -> None:
    job = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    receiver.status = 500
    services.webhook_sender.send_due()
    (delivery,) = deliveries_of(client, job)
    assert (delivery["status"], delivery["attempts"], delivery["error"]) == (
        "pending",
        1,
        "answered 500 Internal Server Error",
    )
    assert services.webhook_sender.send_due() == 0, "it is not due yet"
    hurry(services)
    receiver.status = 200
    another = WebhookSender(services.webhooks, networks(LOOPBACK))
    assert another.send_due() == 1
    assert deliveries_of(client, job)[0]["status"] == "delivered"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1, "the same message"


def test_message_is_given_up_after_last_attempt_or_410(
    client: FlaskClient, services: Services, receiver: Receiver
) -> None:
    job = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    receiver.status = 503
    for _ in range(len(DELAYS) + 1):
        hurry(services)
        assert services.webhook_sender.send_due() == 1
    hurry(services)
    assert services.webhook_sender.send_due() == 0
    assert deliveries_of(client, job)[0]["status"] == "given_up"
    receiver.status = 410
    gone = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    services.webhook_sender.send_due()
    assert (deliveries_of(client, gone)[0]["status"], deliveries_of(client, gone)[0]["attempts"]) == ("given_up", 1)


def test_redirect_is_not_followed(client: FlaskClient, services: Services, receiver: Receiver) -> None:
    job = submit(client, webhook={"url": receiver.url, "events": ["queued"]})
    receiver.status = 302
    services.webhook_sender.send_due()
    assert "302" in deliveries_of(client, job)[0]["error"]


def test_unreachable_receiver_is_recorded(client: FlaskClient, services: Services) -> None:
    job = submit(client, webhook={"url": "http://127.0.0.1:1/", "events": ["queued"]})
    services.webhook_sender.send_due()
    assert "the connection failed" in deliveries_of(client, job)[0]["error"]


def test_former_secret_signs_for_one_more_day(client: FlaskClient, services: Services, receiver: Receiver) -> None:
    former = client.get("/v1/webhooks/secret").json["secret"]
    assert client.get("/v1/webhooks/secret").json["secret"] == former
    present = client.post("/v1/webhooks/secret").json["secret"]
    assert present != former
    assert client.post("/v1/webhooks/test", json={"url": receiver.url}).json["is_received"]
    with services.database.write() as c:
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
        "http://10.0.0.1/",
        "http://192.168.1.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/",
        "http://224.0.0.1/",
        "http://100.64.0.1/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://[::127.0.0.1]/",
        "http://[fec0::1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://192.88.99.1/",
        "ftp://example.com/",
        "//example.com",
        "http://",
        "http://user:pass@example.com/",
        "http://example.com:99999/",
        "javascript:alert(1)",
    ],
)
def test_forbidden_address_is_refused_at_once(client: FlaskClient, url: str) -> None:
    answer = client.post("/v1/jobs", json={"dataset": {"id": "digits"}, "webhook": {"url": url}})
    assert [error["pointer"] for error in expect_problem(answer, 422)["errors"]] == ["/webhook/url"]
    expect_problem(client.post("/v1/webhooks/test", json={"url": url}), 422)


def test_special_addresses_are_refused_and_public_ones_called() -> None:
    # The first and last address of each block of IANA's registries of special-purpose addresses, and of multicast.
    for block in SPECIAL.split():
        network = ipaddress.ip_network(block)
        for address in (network[0], network[-1]):
            shown = f"[{address}]" if network.version == 6 else str(address)
            with pytest.raises(Refused):
                check(f"http://{shown}/", ())
            check(f"http://{shown}/", (network,))
    for mapped in ("::ffff:10.0.0.1", "::ffff:192.88.99.1", "::10.0.0.1", "64:ff9b::8.8.8.8", "2002:808:808::1"):
        with pytest.raises(Refused):
            check(f"http://[{mapped}]/", ())
    for public in ("8.8.8.8", "100.63.255.255", "100.128.0.0", "198.17.0.1", "192.88.98.1", "223.255.255.255"):
        check(f"http://{public}/", ())
    for public in ("2001:4860:4860::8888", "2a00:1450::1", "2001:200::1", "2003::1", "::ffff:8.8.8.8"):
        check(f"http://[{public}]/", ())


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost/", "http://a.localhost:80/", "http://2130706433/"]
)
def test_loopback_is_refused_unless_allowed(url: str) -> None:
    with pytest.raises(Refused):
        resolve(url, ())
    if "localhost" not in url and "2130706433" not in url:
        assert resolve(url, networks(LOOPBACK)) == "127.0.0.1"
        check(url, networks(LOOPBACK))


def test_name_of_a_private_address_is_refused_when_resolved(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("10.0.0.7", 80))]
    monkeypatch.setattr("service.core.webhooks.addresses.socket.getaddrinfo", lambda *_, **__: answers)
    job = submit(client, webhook={"url": "http://example.com/hook", "events": ["queued"]})
    services.webhook_sender.send_due()
    error = deliveries_of(client, job)[0]["error"]
    assert "belongs to this machine or a private network" in error
    tried = client.post("/v1/webhooks/test", json={"url": "http://example.com/hook"}).json
    assert tried["detail"] == error
    assert "10.0.0.7" not in error


def test_slow_receiver_is_cut_off_at_the_deadline(
    client: FlaskClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.core.webhooks.sender.DEADLINE", 1.0)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            ends_at = time.monotonic() + RECEIVER_SECONDS
            with connection, suppress(OSError):
                while not over.wait(0.2) and time.monotonic() < ends_at:
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        job = submit(client, webhook={"url": f"http://127.0.0.1:{server.getsockname()[1]}/", "events": ["queued"]})
        started = time.monotonic()
        services.webhook_sender.send_due()
        took = time.monotonic() - started
        over.set()
        thread.join()
    assert took < RECEIVER_SECONDS
    assert deliveries_of(client, job)[0]["status"] == "pending"
    assert deliveries_of(client, job)[0]["error"]


def test_late_result_does_not_undo_a_newer_delivery(client: FlaskClient, services: Services) -> None:
    job = submit(client, webhook={"url": "http://127.0.0.1:1/", "events": ["queued"]})
    slow = services.webhooks.claim()
    hurry(services)
    fast = services.webhooks.claim()
    assert slow is not None
    assert fast is not None
    assert (slow.attempts, fast.attempts) == (1, 2)
    services.webhooks.delivered(fast)
    services.webhooks.failed(slow, "late", 1.0, for_good=True)
    assert deliveries_of(client, job)[0]["status"] == "delivered"


def announced(services: Services, tenant: str, url: str, count: int) -> None:
    """Messages of a tenant's jobs to a receiver, due now."""
    spec = {"dataset": {"id": "digits"}, "webhook": {"url": url, "events": ["queued"]}}
    for _ in range(count):
        services.store.actions.submit(tenant, NewJob(JobSpec.from_dict(spec).filled(1)))


def sent_by(services: Services, tenant: str) -> list[tuple[str, str | None]]:
    """The status and the error of each message of a tenant."""
    query = select(deliveries.c.status, deliveries.c.error).where(deliveries.c.tenant == tenant)
    with services.database.read() as c:
        return [(row.status, row.error) for row in c.execute(query)]


@pytest.mark.parametrize("others", [["alice"], [f"tenant {i}" for i in range(10)]], ids=["one", "ten"])
def test_silent_receivers_do_not_delay_another_tenant(
    services: Services, receiver: Receiver, others: list[str]
) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        for tenant in others:
            for receivers in range(3):
                url = f"http://127.0.0.1:{silent.getsockname()[1]}/{tenant[-1]}{receivers}"
                announced(services, tenant, url, 60 // 3 // len(others))
        announced(services, "bob", receiver.url, 3)
        sender = threading.Thread(target=services.webhook_sender.run, args=(stop,))
        sender.start()
        try:
            assert eventually(lambda: all(status == "delivered" for status, _ in sent_by(services, "bob")))
            assert all(sent_by(services, tenant)[0] == ("pending", None) for tenant in others), "none was given up yet"
        finally:
            stop.set()
            sender.join()
    assert eventually(lambda: services.webhook_sender.is_idle)


def test_a_silent_receiver_does_not_delay_another_receiver(services: Services, receiver: Receiver) -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        announced(services, "alice", f"http://127.0.0.1:{silent.getsockname()[1]}/", 20)
        announced(services, "alice", receiver.url, 1)
        sender = threading.Thread(target=services.webhook_sender.run, args=(stop,))
        sender.start()
        try:
            assert eventually(lambda: len(receiver.got) == 1)
            assert {error for _, error in sent_by(services, "alice")} == {None}
        finally:
            stop.set()
            sender.join()
    assert eventually(lambda: services.webhook_sender.is_idle)


MALFORMED = (
    "http://exa mple.com/",
    "http://a..b/",
    "http://.example.com/",
    "http://%00/",
    "http://a%20b/",
    "http://-a.example.com/",
    f"http://{'a' * 64}.example.com/",
    f"http://{'a.' * 130}com/",
    "http://m\u00fcller.example/",
    "https://example.com/a b",
    "https://example.com/\u00fc",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://[::1/",
    "http://a,b/",
    "https:///path",
)
WELL_FORMED = (
    "https://example.com",
    "https://Hooks.example.com.:8443/a%20b?x=a|b#c",
    "http://my_host/",
    "http://xn--mller-kva.example/",
    f"http://{'a' * 63}.example.com/",
    "http://93.184.215.14/",
    "http://[2606:4700::1111]:80/",
)


@ON_DISK
def test_malformed_addresses_are_refused_before_use(client: FlaskClient) -> None:
    for url, path in product(MALFORMED, ("/v1/jobs", "/v1/jobs?validate_only=true", "/v1/webhooks/test")):
        is_test = path.endswith("/test")
        answer = client.post(path, json={"url": url} if is_test else SPEC | {"webhook": {"url": url}})
        problem = expect_problem(answer, 422)
        assert [fault["pointer"] for fault in problem["errors"]] == ["/url" if is_test else "/webhook/url"], url
        assert problem["errors"][0]["allowed"]
        assert not re.search("codec|Error", problem["detail"])


@ON_DISK
def test_well_formed_addresses_are_accepted(client: FlaskClient) -> None:
    for url in WELL_FORMED:
        answer = client.post("/v1/jobs?validate_only=true", json=SPEC | {"webhook": {"url": url}})
        assert answer.status_code == 200, answer.text


@ON_DISK
def test_a_failed_delivery_is_explained_in_plain_words(client: FlaskClient, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url, words in (
        (f"http://127.0.0.1:{port}/", "refused"),
        (receiver.url.replace("http:", "https:"), "TLS"),
        ("http://nothing.invalid/", "cannot be resolved"),
    ):
        answer = client.post("/v1/webhooks/test", json={"url": url}).json or {}
        assert (answer["is_received"], answer["status"]) == (False, None)
        assert words in answer["detail"]
        assert not re.search(r"Error|Errno|_ssl|\[", answer["detail"])
