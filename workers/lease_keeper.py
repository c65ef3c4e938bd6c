"""Renews a lease from a thread of its own while the work under the lease is done, however long the work waits."""

import logging
import threading
from abc import ABC, abstractmethod
from contextvars import copy_context
from types import TracebackType
from typing import Self

from service.core.errors import DatabaseError, LeaseLost

log = logging.getLogger(__name__)


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
