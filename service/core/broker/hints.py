"""Hints: Celery messages over Redis that carry only a job id. A lost hint is sent again later."""

import logging
import socket

from celery import Celery
from kombu.exceptions import OperationalError

from service.core.system.resilience import CircuitBreaker

TRAIN = "rightfit.train"  # the task's name: the API sends it without importing the worker
QUEUE = "rightfit"
# A half-open connection to the broker is noticed after about 25 s.
KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3, socket.TCP_USER_TIMEOUT: 25_000}
TIMEOUTS = {  # of connections, in seconds
    "socket_connect_timeout": 1.0,
    "socket_timeout": 2.0,
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
}
# An unavailable broker must not delay the request that sends a hint: one try, and none for a while after a failure.
SENDER_OPTIONS = {**TIMEOUTS, "max_retries": 0}
BREAKER_SECONDS = 2.0

log = logging.getLogger(__name__)


def make_celery(redis_url: str) -> Celery:
    """A Celery app for the API or a worker; it connects on first use."""
    app = Celery("rightfit", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # retry for ever
        broker_transport_options={**TIMEOUTS, "socket_timeout": 30.0},
        enable_utc=True,
    )
    return app


class HintQueue:
    """Sends hints; the dispatcher sends lost ones again."""

    def __init__(self, redis_url: str) -> None:
        self._celery = make_celery(redis_url)
        self._celery.conf.broker_transport_options = SENDER_OPTIONS
        self._breaker = CircuitBreaker(BREAKER_SECONDS)

    def send(self, job_id: str) -> bool:
        """Send a hint for a job; False if the broker cannot be reached."""
        if self._breaker.is_open:
            return False
        try:
            self._celery.send_task(TRAIN, args=[job_id], queue=QUEUE, retry=False)
        except (OperationalError, OSError) as error:
            self._breaker.record_failure()
            log.warning("no hint sent for %s, the dispatcher will send it later: %s", job_id, error)
            return False
        return True
