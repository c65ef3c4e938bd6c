"""Turns: of all processes that run a periodic task, one runs it in each period."""

import redis


class Turns:
    """The turns of one task, kept as a key in Redis that expires after `seconds`, the period."""

    def __init__(self, redis_url: str, key: str, seconds: int) -> None:
        self._client = redis.Redis.from_url(redis_url, socket_timeout=2.0)
        self._key, self._seconds = key, seconds

    def take(self) -> bool:
        """Whether this process may run the task in this period; False also while Redis is unavailable."""
        try:
            return bool(self._client.set(self._key, "", nx=True, ex=self._seconds))
        except redis.RedisError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
