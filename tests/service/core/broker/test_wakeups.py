"""Wake-ups over a real Redis server, and without one."""

import threading
import time

from service.core.broker.wakeups import Wakeups
from tests.conftest import Redis
from tests.ports import free_port


def test_a_waiter_sleeps_until_it_is_woken(own_redis: Redis) -> None:
    wakeups = Wakeups(own_redis.url)
    with wakeups.listen("job_1") as wait:
        started = time.monotonic()
        wait(0.3)
        assert time.monotonic() - started > 0.25, "the subscription itself is no wake-up"
        wakeups.publish("job_1")
        started = time.monotonic()
        wait(20)
        assert time.monotonic() - started < 10


def test_a_wake_up_ends_a_wait_early(redis_server: Redis) -> None:
    wakeups = Wakeups(redis_server.url)
    with wakeups.listen("job_1") as wait:
        wait(0.5)  # the confirmation of the subscription
        threading.Timer(0.2, wakeups.publish, ["job_1"]).start()
        started = time.monotonic()
        wait(30)
    assert time.monotonic() - started < 10


def test_without_redis_waits_are_short_sleeps_and_nothing_fails() -> None:
    wakeups = Wakeups(f"redis://127.0.0.1:{free_port()}/0")
    wakeups.publish("job_1")
    assert wakeups.ping() is False
    with wakeups.listen("job_1") as wait:
        started = time.monotonic()
        wait(30)
    assert time.monotonic() - started < 10
