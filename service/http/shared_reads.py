"""Reads of events that streams share: all streams read at the same moments, and one of them reads for the others."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from service.recent import Recent

TICK_SECONDS = 0.5  # between two reads of a stream, which sends what has come together
MOST_BYTES = 1 << 20
LOCKS = 16  # topics whose streams do not wait for each other, about


class Lines(NamedTuple):
    """The lines of events that a stream sends, the id of the last one, and whether no more events will come."""

    lines: tuple[str, ...]
    last: int
    is_over: bool


class SharedReads:
    """What was read at the last ticks. Safe in several threads."""

    def __init__(self) -> None:
        self._read = Recent[Lines](MOST_BYTES)
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    def at_tick(self, topic: str, after: int, tick: int, read: Callable[[], Lines]) -> Lines:
        """The events of a topic after an id, as they were read by any stream at this tick or later.

        They are complete for a stream that was woken before the tick. Raises what `read` raises.
        """
        key = f"{topic} {after} {tick}"
        with self._locks[hash(topic) % LOCKS]:
            lines = self._read.get(key)
            if lines is None:
                lines = read()
                self._read.put(key, lines, len(key) + sum(map(len, lines.lines)))
        return lines


def await_tick() -> int:
    """Sleep until the next tick of the process, and return its number."""
    tick = int(time.monotonic() / TICK_SECONDS) + 1
    time.sleep(max(0.0, tick * TICK_SECONDS - time.monotonic()))
    return tick
