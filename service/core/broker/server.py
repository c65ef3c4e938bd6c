"""The Redis server itself: whether it answers, and what it is."""

from dataclasses import dataclass

import redis

from service.core.errors import BrokerUnavailable

NO_EVICTION = "noeviction"


@dataclass(frozen=True)
class BrokerServer:
    """A server that answers. `eviction` is the policy by which it deletes keys when its memory is full, or None."""

    name: str  # Valkey or Redis
    version: str
    eviction: str | None


def describe(redis_url: str, timeout: float) -> BrokerServer:
    """Connect and read what the server says of itself. `timeout` in seconds. Raises BrokerUnavailable."""
    try:
        with redis.Redis.from_url(redis_url, socket_connect_timeout=timeout, socket_timeout=timeout) as client:
            info = client.info()
    except redis.RedisError as error:
        raise BrokerUnavailable(str(error)) from error
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    policy = info.get("maxmemory_policy", NO_EVICTION)
    is_limited = bool(info.get("maxmemory")) and policy != NO_EVICTION
    return BrokerServer(name, str(version), policy if is_limited else None)


def is_answering(redis_url: str, timeout: float) -> bool:
    """Whether the server answers. `timeout` in seconds, of the connection."""
    try:
        with redis.Redis.from_url(redis_url, socket_connect_timeout=timeout) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
