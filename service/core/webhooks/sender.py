"""Sends signed webhook messages to checked addresses, and retries until they are received or given up."""

import http
import http.client
import logging
import random
import secrets
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import httpcore

from service.core.errors import Refused, TooMany
from service.core.records.webhook_message import Message, body
from service.core.sql.webhook_messages import Webhooks
from service.core.system.resilience import attempt
from service.core.text.hosts import Network
from service.core.webhooks.addresses import resolve
from service.core.webhooks.http import post
from service.core.webhooks.outbox import Outbox
from service.core.webhooks.signature import signature

LOOK_SECONDS = 1.0
DEADLINE = 15.0  # seconds for one attempt, from the connection to the answer's head
TRIALS = 4  # test calls at the same time
NETWORK_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
JITTER = (0.8, 1.2)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The answer of a receiver: an HTTP status, or None with the reason in `detail`."""

    status: int | None
    detail: str

    @property
    def is_received(self) -> bool:
        return self.status is not None and http.HTTPStatus.OK <= self.status < http.HTTPStatus.MULTIPLE_CHOICES


class WebhookSender:
    """Sends several messages at once, but few to one receiver and few of one tenant, so that none delays another."""

    def __init__(self, webhooks: Webhooks, allowed: Sequence[Network]) -> None:
        self._webhooks, self._allowed = webhooks, allowed
        self._trials = threading.BoundedSemaphore(TRIALS)
        self._outbox = Outbox()

    def run(self, stop: threading.Event) -> None:
        """Send due messages until stopped, each in a thread; an unavailable database is tried again."""
        while not stop.is_set():
            attempt(self._start_due, "send messages")
            self._outbox.wait(LOOK_SECONDS)

    def send_due(self) -> bool:
        """Send a message that is due; returns whether there was one."""
        message = self._webhooks.claim()
        if message is None:
            return False
        self._deliver(message)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no message is being sent."""
        return self._outbox.is_empty

    def _start_due(self) -> None:
        while self._outbox.has_room and (message := self._webhooks.claim(self._outbox.busy())):
            self._outbox.add(message)
            threading.Thread(target=self._send, args=(message,), name="webhook", daemon=True).start()

    def _send(self, message: Message) -> None:
        try:
            attempt(partial(self._deliver, message), "send a message")
        finally:
            self._outbox.remove(message)

    def _deliver(self, message: Message) -> None:
        answer = self.send(message)
        if answer.is_received:
            self._webhooks.delivered(message)
        else:
            gone = answer.status == http.HTTPStatus.GONE  # the receiver wants no more
            log.warning("message %s was not received: %s", message.id, answer.detail)
            self._webhooks.failed(message, answer.detail, random.uniform(*JITTER), for_good=gone)  # noqa: S311 - no secret

    def try_out(self, tenant: str, url: str) -> Answer:
        """Send an empty test message now. Raises TooMany while TRIALS others are being sent."""
        message_id = f"msg_{secrets.token_hex(12)}"
        message = Message(message_id, url, body("test", {}), 1, self._webhooks.signing_secrets(tenant), tenant)
        if not self._trials.acquire(blocking=False):
            raise TooMany("too many test messages are being sent; try again later", int(DEADLINE))
        try:
            return self.send(message)
        finally:
            self._trials.release()

    def send(self, message: Message) -> Answer:
        """Try once. Redirects are not followed: they could lead to a refused address."""
        timestamp = int(time.time())
        signatures = " ".join(signature(secret, message.id, timestamp, message.body) for secret in message.secrets)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Rightfit",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures,
        }
        try:
            address = resolve(message.url, self._allowed)
            status = post(message.url, address, headers, message.body.encode(), DEADLINE)
        except Refused as error:
            return Answer(None, str(error))
        except (*NETWORK_ERRORS, OSError, ValueError) as error:
            log.info("message %s: %s: %s", message.id, type(error).__name__, error)
            return Answer(None, _in_words(error))
        return Answer(status, f"answered {status} {http.client.responses.get(status, '')}".strip())


def _in_words(error: Exception) -> str:
    """Why an attempt failed, for the user. An error of httpcore has the system's error as its argument."""
    cause = error.args[0] if error.args and isinstance(error.args[0], OSError) else error
    if isinstance(error, httpcore.TimeoutException):
        return f"no complete answer within {DEADLINE:g} seconds"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate of the host is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return "the host does not answer with TLS; allowed: a server for https:// at this port"
    if isinstance(error, httpcore.ProtocolError):
        return "the host does not answer with HTTP"
    if isinstance(cause, OSError) and cause.strerror:
        return f"the connection failed: {cause.strerror}"
    return "the connection failed"
