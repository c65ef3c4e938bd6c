"""Reads of events that streams share: all streams read at the same moments, and one of them reads for the others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from service.recent import Recent

LEAST_SECONDS = 0.25  # between two reads of a stream, which sends what has come together
MOST_READS = 50  # of all streams in a second
MOST_BYTES = 1 << 20
LOCKS = 16  # topics whose streams do not wait for each other, about


class Lines(NamedTuple):
    """The lines of events that a stream sends, the id of the last one, and whether no more events will come."""

    lines: tuple[str, ...]
    last: int
    is_over: bool


class SharedReads:
    """What was read at the last ticks. The more streams there are, the rarer are the ticks. Safe in several threads."""

    def __init__(self) -> None:
        self._read = Recent[Lines](MOST_BYTES)
        self._streams = 0
        self._counting = threading.Lock()
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream during the block."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._counting:
            self._streams += more

    def await_tick(self) -> float:
        """Sleep until the next tick, and return its time."""
        seconds = max(LEAST_SECONDS, self._streams / MOST_READS)
        tick = (int(time.monotonic() / seconds) + 1) * seconds
        time.sleep(max(0.0, tick - time.monotonic()))
        return tick

    def at_tick(self, topic: str, after: int, tick: float, read: Callable[[], Lines]) -> Lines:
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
