"""Keeps a process running while a dependency fails: retries later, skips it for a while, renews a lease meanwhile."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Self

from service.core.errors import DatabaseError, LeaseLost

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


class LeaseKeeper(ABC):
    """Within its block the lease on `what` is renewed; `check` raises LeaseLost once the lease is lost."""

    def __init__(self, what: str, seconds: float) -> None:
        """`seconds` pass between two renewals."""
        self._what, self._seconds = what, seconds
        self._lost: LeaseLost | None = None
        self._done = threading.Event()
        context = copy_context()  # the log lines of the thread name the same job
        self._thread = threading.Thread(target=context.run, args=(self._keep,), name=f"lease-{what}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLost if a renewal did."""
        if self._lost is not None:
            raise self._lost

    @abstractmethod
    def _renew(self) -> None:
        """Renew the lease once. Raises LeaseLost, and DatabaseError where the database is away."""

    def _keep(self) -> None:
        while not self._done.wait(self._seconds):
            try:
                self._renew()
            except LeaseLost as error:
                if not self._done.is_set():
                    self._lost = error
                return
            except DatabaseError as error:
                log.warning("cannot renew the lease of %s, will try again: %s", self._what, error)
