"""Writes to a database that may be away for a while."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from service.core.errors import DatabaseUnavailable, LeaseLost

RETRY_SECONDS = 0.5  # between two tries
WRITE_SECONDS = 15.0  # for the last writes of a worker that must stop

T = TypeVar("T")

log = logging.getLogger(__name__)


class WorkerStop:
    """Set once the worker must stop; from then on there are WRITE_SECONDS for the last writes."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._deadline = float("inf")

    def request(self) -> None:
        self._deadline = time.monotonic() + WRITE_SECONDS
        self._requested.set()

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    @property
    def is_overdue(self) -> bool:
        return time.monotonic() > self._deadline


def persist(write: Callable[[], T], check: Callable[[], None], stop: WorkerStop) -> T:
    """Call `write`, again and again while the database is away, until `check` raises or the worker's time is over.

    Raises LeaseLost then, and what `write` raises where the database is there.
    """
    while True:
        check()
        try:
            return write()
        except DatabaseUnavailable as error:
            if stop.is_overdue:
                raise LeaseLost("the worker must stop and the database is away") from error
            log.warning("cannot write, will try again: %s", error)
        time.sleep(RETRY_SECONDS)
