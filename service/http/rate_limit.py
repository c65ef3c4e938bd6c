"""How often a key may ask: so many requests a minute, counted in Redis for all processes together.

While Redis is away each process counts by itself: the door is neither open nor closed then.
"""

import logging
import math
import time
from typing import Any

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from service.core.errors import TooMany
from service.core.resilience import CircuitBreaker

BREAKER_SECONDS = 5.0  # after a failure, how long Redis is left alone
TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": 1.0, "socket_timeout": 1.0}

log = logging.getLogger(__name__)


class RateLimit:
    """Counts requests; `per_minute` None counts nothing."""

    def __init__(self, redis_url: str, per_minute: int | None) -> None:
        self._limit: RateLimitItem | None = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis_url = redis_url
        self._shared: SlidingWindowCounterRateLimiter | None = None
        self._breaker = CircuitBreaker(BREAKER_SECONDS)

    def hit(self, key_id: str) -> None:
        """Count a request of this key. Raises TooMany where it was one too many."""
        if self._limit is None:
            return None
        if not self._breaker.is_open:
            try:
                if self._shared is None:
                    self._shared = SlidingWindowCounterRateLimiter(RedisStorage(self._redis_url, **TIMEOUTS))
                return self._judge(self._shared, self._limit, key_id)
            except TooMany:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with Redis, we count ourselves
                self._breaker.record_failure()
                log.warning("requests are counted by each process for %g s: %s", BREAKER_SECONDS, error)
        return self._judge(self._own, self._limit, key_id)

    @staticmethod
    def _judge(limiter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, key_id: str) -> None:
        if not limiter.hit(limit, "rightfit", key_id):
            wait = limiter.get_window_stats(limit, "rightfit", key_id).reset_time - time.time()
            raise TooMany(f"more than {limit.amount} requests a minute", max(1, math.ceil(wait)))
