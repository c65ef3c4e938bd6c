"""Turns: few requests are answered at a time, the others wait in a line. A thread that waits gives its turn back.

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

    def take_again(self, request: T) -> None:
        """The request goes on, even if no turn is free."""
        self._began[request] = time.monotonic()

    def end_long_turns(self) -> None:
        """Give back the turns that are older than TURN_SECONDS."""
        latest = time.monotonic() - TURN_SECONDS
        while self._began and next(iter(self._began.values())) < latest:
            self.give_back(next(iter(self._began)))

    def _go_on(self) -> None:
        while len(self._began) < self._most and (line := self._first or self._last):
            request = line.popleft()
            self.take_again(request)
            self._start(request)


@contextmanager
def taken(give_back: Callable[[], None], take_again: Callable[[], None]) -> Iterator[None]:
    """This thread has a turn during the block. While it waits, it gives the turn back by these functions."""
    _own.turn = (give_back, take_again)
    try:
        yield
    finally:
        _own.turn = None


@contextmanager
def given_back() -> Iterator[None]:
    """Let another request start during the block, in which this thread waits."""
    turn = getattr(_own, "turn", None)
    if turn is None:  # a test without the server
        yield
        return
    give_back, take_again = turn
    give_back()
    try:
        yield
    finally:
        take_again()
