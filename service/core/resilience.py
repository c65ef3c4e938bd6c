"""Keeps a process running while a dependency fails: retries later, or skips the dependency for a while."""

import logging
import threading
import time
from collections.abc import Callable

from service.core.errors import DatabaseError

log = logging.getLogger(__name__)


def repeat(action: Callable[[], object], seconds: float, stop: threading.Event, what: str) -> None:
    """Call `action` every `seconds` until `stop` is set. `what` names it in the log: "cannot WHAT, will try again"."""
    while not stop.wait(seconds):
        attempt(action, what)


def attempt(action: Callable[[], object], what: str) -> None:
    """Call `action` once and log any exception: the database may be away, or a newer release may have written a row."""
    try:
        action()
    except DatabaseError as error:
        log.warning("cannot %s, will try again: %s", what, error)
    except Exception:
        log.exception("cannot %s, will try again", what)


class CircuitBreaker:
    """Open for `seconds` after each failure; while it is open, callers skip the part instead of waiting for it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._until

    def record_failure(self) -> None:
        self._until = time.monotonic() + self.seconds
