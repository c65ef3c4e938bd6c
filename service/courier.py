"""Sends webhook messages: signed, to addresses that were checked, again and again until they arrive or are given up."""

import http
import logging
import random
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from sqlalchemy.exc import SQLAlchemyError

from service.core.addresses import Network, resolve
from service.core.errors import Refused
from service.core.webhooks import Message, Webhooks, body, signature

LOOK_SECONDS = 1.0
AT_ONCE = 10  # messages claimed together, and sent one after another
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
JITTER = (0.8, 1.2)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """How a receiver answered: with an HTTP status, or not at all, for the reason in `detail`."""

    status: int | None
    detail: str

    @property
    def is_received(self) -> bool:
        return self.status is not None and http.HTTPStatus.OK <= self.status < http.HTTPStatus.MULTIPLE_CHOICES


class Courier:
    """One thread a process is enough; any number of processes share the work."""

    def __init__(self, webhooks: Webhooks, allowed: Sequence[Network]) -> None:
        self._webhooks, self._allowed = webhooks, allowed

    def run(self, stop: threading.Event) -> None:
        """Send what is due until stopped; a database that is away is tried again."""
        while not stop.wait(LOOK_SECONDS):
            try:
                while self.send_due():
                    pass
            except SQLAlchemyError as error:
                log.warning("cannot look for messages, will try again: %s", error)
            except Exception:
                log.exception("cannot send messages, will try again")

    def send_due(self) -> int:
        """Send the messages that are due; returns how many there were."""
        messages = self._webhooks.claim(AT_ONCE)
        for message in messages:
            answer = self.send(message)
            if answer.is_received:
                self._webhooks.delivered(message)
                continue
            gone = answer.status == http.HTTPStatus.GONE  # the receiver wants no more
            log.warning("message %s was not received: %s", message.id, answer.detail)
            self._webhooks.failed(message, answer.detail, random.uniform(*JITTER), for_good=gone)  # noqa: S311 - no secret
        return len(messages)

    def try_out(self, tenant: str, url: str) -> Answer:
        """Send a message that says nothing, now."""
        message_id = f"msg_{secrets.token_hex(12)}"
        return self.send(Message(message_id, url, body("test", {}), 1, self._webhooks.signing_secrets(tenant)))

    def send(self, message: Message) -> Answer:
        """One attempt. A redirection is not followed: it could lead where no webhook may."""
        timestamp = int(time.time())
        signatures = " ".join(signature(secret, message.id, timestamp, message.body) for secret in message.secrets)
        headers = {
            "Content-Type": "application/json", "User-Agent": "Rightfit", "webhook-id": message.id,
            "webhook-timestamp": str(timestamp), "webhook-signature": signatures,
        }  # fmt: skip
        try:
            address, port = resolve(message.url, self._allowed)
            url = httpx.URL(message.url)
            with (
                httpx.Client(timeout=TIMEOUT, trust_env=False) as client,
                client.stream(
                    "POST", url.copy_with(host=address, port=port), content=message.body.encode(),
                    headers=headers | {"Host": url.netloc.decode()}, extensions={"sni_hostname": url.host},
                ) as answer,
            ):  # fmt: skip
                return Answer(answer.status_code, f"answered {answer.status_code} {answer.reason_phrase}".strip())
        except Refused as error:
            return Answer(None, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            return Answer(None, f"{type(error).__name__}: {error}"[:300])
