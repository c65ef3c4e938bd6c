"""Objects that are kept in memory as long as there is room: the least recently used ones go first."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by key, of at most `most_bytes` together. Safe in several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, OrderedDict[str, tuple[Value, int]]()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: str, value: Value, size: int) -> None:
        """Keep a value of `size` bytes. One that is larger than everything allowed is not kept."""
        with self._lock:
            self._bytes -= self._held.pop(key, (value, 0))[1]
            if size > self._most:
                return
            self._held[key], self._bytes = (value, size), self._bytes + size
            while self._bytes > self._most:
                self._bytes -= self._held.popitem(last=False)[1][1]
