"""Wake-ups: messages on a Redis channel that a job has changed, so that waiting requests need not poll."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.core.system.resilience import CircuitBreaker

CHANNEL = "rightfit:job:"
POLL_SECONDS = 0.5  # between two polls while Redis is unavailable
SUBSCRIBE_SECONDS = 2.0
BREAKER_SECONDS = 5.0  # without a call to Redis after a failure

Wait = Callable[[float], None]

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
        if self._breaker.is_open:
            return
        try:
            self._client.publish(CHANNEL + job_id, "")
        except redis.RedisError as error:
            self._breaker.record_failure()
            log.warning("no wake-ups are sent for %g s: %s", BREAKER_SECONDS, error)

    @contextmanager
    def listen(self, job_id: str) -> Iterator[Wait]:
        """Subscribe, and yield a function that waits for a wake-up, at most the given number of seconds."""
        with self._client.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]  # redis-py
            try:
                subscription.subscribe(CHANNEL + job_id)
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


def _await(subscription: redis.client.PubSub, seconds: float) -> None:
    try:
        subscription.get_message(timeout=seconds)
    except redis.RedisError:
        _sleep(seconds)
