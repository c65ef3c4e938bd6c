"""The webhook messages that a process is sending now, with limits for each tenant and each receiver.

A tenant gets a share of the free places, so that some are free for the next tenant (Choudhury and Hahne, "Dynamic Queue
Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998).
"""

import threading
from collections import Counter

from service.core.records.webhook_message import Message
from service.core.sql.webhook_messages import Busy

MOST = 32  # messages at once; each waits in a thread for its receiver
SHARE = 4  # a tenant has at most a quarter of as many places as are free, and at least one
MOST_TO_RECEIVER = 4


class Outbox:
    """Counts the messages that are being sent. Safe for threads."""

    def __init__(self) -> None:
        self._tenants: Counter[str] = Counter()
        self._receivers: Counter[str] = Counter()
        self._lock, self._left = threading.Lock(), threading.Event()

    @property
    def has_room(self) -> bool:
        with self._lock:
            return self._tenants.total() < MOST

    @property
    def is_empty(self) -> bool:
        with self._lock:
            return not self._tenants

    def busy(self) -> Busy:
        """The tenants and receivers that get no further message now."""
        with self._lock:
            most = max(1, (MOST - self._tenants.total()) // SHARE)
            return Busy(
                frozenset(tenant for tenant, count in self._tenants.items() if count >= most),
                frozenset(url for url, count in self._receivers.items() if count >= MOST_TO_RECEIVER),
            )

    def add(self, message: Message) -> None:
        with self._lock:
            self._tenants[message.tenant] += 1
            self._receivers[message.url] += 1

    def remove(self, message: Message) -> None:
        with self._lock:
            self._tenants[message.tenant] -= 1
            self._receivers[message.url] -= 1
            self._tenants += Counter()  # drops zeros
            self._receivers += Counter()
        self._left.set()

    def wait(self, seconds: float) -> None:
        """Wait until a message has been sent, at most `seconds`."""
        self._left.wait(seconds)
        self._left.clear()
