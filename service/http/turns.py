"""Turns: few requests are answered at a time, the others wait in a line. A thread that waits gives its turn back, and
goes on without one: streams that wake up for every event would leave no turn for other requests.

Python runs one thread at a time. Among many that compute, a probe and the thread that accepts connections would wait
for seconds.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

TURN_SECONDS = 0.25  # then a request counts as waiting, for a database or a storage

T = TypeVar("T")

_own = threading.local()


class Line(Generic[T]):
    """Requests that wait for one of `most` turns. For one thread only.

    `start` begins to answer a request. Clients that send a request before they have the answer to the last one come
    after the others.
    """

    def __init__(self, most: int, start: Callable[[T], object]) -> None:
        self._most, self._start = most, start
        self._first: deque[T] = deque()
        self._last: deque[T] = deque()
        self._began: dict[T, float] = {}  # those with a turn, in order

    def add(self, request: T, *, is_early: bool) -> None:
        """Start a request when a turn is free; `is_early`: its client has not waited for the last answer."""
        (self._last if is_early else self._first).append(request)
        self._go_on()

    def give_back(self, request: T) -> None:
        """The request waits, or has ended."""
        self._began.pop(request, None)
        self._go_on()

    def end_long_turns(self) -> None:
        """Give back the turns that are older than TURN_SECONDS."""
        latest = time.monotonic() - TURN_SECONDS
        while self._began and next(iter(self._began.values())) < latest:
            self.give_back(next(iter(self._began)))

    def _go_on(self) -> None:
        while len(self._began) < self._most and (line := self._first or self._last):
            request = line.popleft()
            self._began[request] = time.monotonic()
            self._start(request)


@contextmanager
def taken(give_back: Callable[[], None]) -> Iterator[None]:
    """This thread has a turn during the block, at most until it waits. `give_back` ends the turn."""
    _own.give_back = give_back
    try:
        yield
    finally:
        _own.give_back = None


def give_back() -> None:
    """End the turn of this thread, which is going to wait. Nothing happens if it has none, as in a test."""
    end: Callable[[], None] | None = getattr(_own, "give_back", None)
    if end is not None:
        _own.give_back = None
        end()
