"""Wake-ups: messages on a Redis channel that a job has changed, so that waiting requests need not poll.

How far a job is within its epoch, and a data set in its reading, travels on a channel of its own to those who watch
it. It is kept for some seconds, for those who come later.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.core.system.resilience import CircuitBreaker

CHANNEL = "rightfit:job:"
POSITIONS = "rightfit:position:"  # channels, and keys with the last message
KEPT_SECONDS = 30  # a position
POLL_SECONDS = 0.5  # between two polls while Redis is unavailable
SUBSCRIBE_SECONDS = 2.0
BREAKER_SECONDS = 5.0  # without a call to Redis after a failure

Wait = Callable[[float], str | None]

log = logging.getLogger(__name__)


class Wakeups:
    """Publishes and awaits wake-ups. While Redis is unavailable, waits become short sleeps."""

    def __init__(self, redis_url: str) -> None:
        self._client = redis.Redis.from_url(
            redis_url, socket_connect_timeout=1.0, socket_timeout=2.0, retry=Retry(NoBackoff(), 0)
        )
        self._breaker = CircuitBreaker(BREAKER_SECONDS)

    def publish(self, job_id: str) -> None:
        """Wake everyone who waits for this job."""
        self._publish(CHANNEL + job_id, "")

    def publish_position(self, topic: str, position: Mapping[str, int]) -> None:
        """Send to everyone who watches a job or a data set how far it is."""
        self._publish(POSITIONS + topic, json.dumps(position), KEPT_SECONDS)

    def position(self, topic: str) -> dict[str, int] | None:
        """How far a job or a data set was some seconds ago; None if that is not known."""
        if self._breaker.is_open:
            return None
        try:
            kept = self._client.get(POSITIONS + topic)
        except redis.RedisError:
            self._breaker.record_failure()
            return None
        position: dict[str, int] | None = json.loads(kept) if kept else None
        return position

    def _publish(self, channel: str, content: str, kept_seconds: int = 0) -> None:
        if self._breaker.is_open:
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                if kept_seconds:
                    pipeline.set(channel, content, ex=kept_seconds)
                pipeline.publish(channel, content)
                pipeline.execute()
        except redis.RedisError as error:
            self._breaker.record_failure()
            log.warning("no wake-ups are sent for %g s: %s", BREAKER_SECONDS, error)

    @contextmanager
    def listen(self, job_id: str, *, with_positions: bool = False) -> Iterator[Wait]:
        """Subscribe, and yield a function that waits for a wake-up, at most the given number of seconds.

        It returns "" for a wake-up, with positions also a position that has arrived, as JSON, and None for neither.
        """
        channels = [CHANNEL + job_id, POSITIONS + job_id][: 1 + with_positions]
        with self._client.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]  # redis-py
            try:
                subscription.subscribe(*channels)
                for _ in channels:
                    subscription.get_message(timeout=SUBSCRIBE_SECONDS)  # the confirmation by Redis, not a wake-up
            except redis.RedisError:
                wait: Wait = _sleep
            else:
                wait = partial(_await, subscription)
            yield wait

    def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False


def _sleep(seconds: float) -> None:
    time.sleep(min(seconds, POLL_SECONDS))


def _await(subscription: redis.client.PubSub, seconds: float) -> str | None:
    try:
        message = subscription.get_message(timeout=seconds)
    except redis.RedisError:
        _sleep(seconds)
        return None
    return message["data"].decode() if message else None
