"""A limit on the requests of a key per minute, counted in Redis for all processes together.

While Redis is unavailable, each process counts for itself.
"""

import logging
import math
import time
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from service.core.errors import TooMany
from service.core.system.resilience import CircuitBreaker

BREAKER_SECONDS = 5.0  # pause after a failure before Redis is tried again
TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": 1.0, "socket_timeout": 1.0}

log = logging.getLogger(__name__)


class RateLimit:
    """Counts requests. With `per_minute` None there is no limit."""

    def __init__(self, redis_url: str, per_minute: int | None) -> None:
        self._limit: RateLimitItem | None = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis_url = redis_url
        self._shared: SlidingWindowCounterRateLimiter | None = None
        self._breaker = CircuitBreaker(BREAKER_SECONDS)

    def hit(self, key_id: str) -> None:
        """Count a request of this key. Raises TooMany over the limit."""
        if self._limit is None:
            return None
        if not self._breaker.is_open:
            try:
                if self._shared is None:
                    self._shared = SlidingWindowCounterRateLimiter(RedisStorage(self._redis_url, **TIMEOUTS))
                return self._count(self._shared, self._limit, key_id)
            except TooMany:
                raise
            except Exception as error:  # noqa: BLE001 - any error of Redis or its client
                self._breaker.record_failure()
                log.warning("Redis is unavailable; processes count requests alone for %g s: %s", BREAKER_SECONDS, error)
        return self._count(self._own, self._limit, key_id)

    @staticmethod
    def _count(limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, key_id: str) -> None:
        if not limiter.hit(limit, "rightfit", key_id):
            wait = limiter.get_window_stats(limit, "rightfit", key_id).reset_time - time.time()
            raise TooMany(f"too many requests; allowed: {limit.amount} a minute", max(1, math.ceil(wait)))
