"""Keeping a lease while its work is done: renewed from a thread of its own, whatever the work waits for."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from contextvars import copy_context
from types import TracebackType
from typing import Self

from service.core.errors import DatabaseError, LeaseLost
from service.core.records.job import ControlRequest
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.core.sql.jobs.leases import JobLeases
from workers.telemetry.metrics import WorkerMetrics

LOOK_SECONDS = 1.0  # how often the owner's wish is read between two renewals

log = logging.getLogger(__name__)


class Keeper(ABC):
    """Within its block the lease on `what` is renewed; `check` raises LeaseLost once it is not ours any more."""

    def __init__(self, what: str, seconds: float) -> None:
        """Renewed every so many `seconds`."""
        self._what, self._seconds = what, seconds
        self._lost: LeaseLost | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._keep,), name=f"lease-{what}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLost if the database said so."""
        if self._lost is not None:
            raise self._lost

    @abstractmethod
    def _renew(self) -> None:
        """Raises LeaseLost."""

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


class LeaseKeeper(Keeper):
    """Keeps the lease of a job, and knows what its owner wishes.

    The lease counts from before each renewal was sent, by this machine's monotonic clock: it ends here no later than
    it ends in the database (`held_until`), so a worker that cannot reach the database stops before another may start.
    """

    def __init__(self, settings: Settings, store: JobLeases, lease: Lease, asked: float, meters: WorkerMetrics) -> None:
        """`asked`: the monotonic time just before the lease was claimed."""
        super().__init__(lease.job_id, min(LOOK_SECONDS, settings.heartbeat_seconds))
        self._settings, self._store, self._lease, self._meters = settings, store, lease, meters
        self._renewed = time.monotonic()
        self.held_until = asked + settings.lease_seconds
        self.wish: ControlRequest | None = None

    def check(self) -> None:
        """Raise LeaseLost if the database said so, or if it could not be asked for as long as the lease lasts."""
        super().check()
        if time.monotonic() > self.held_until:
            raise LeaseLost(f"the lease of {self._what} ran out before the database could be reached")

    def _renew(self) -> None:
        asked = time.monotonic()
        if asked - self._renewed < self._settings.heartbeat_seconds:
            self.wish = self._store.control_request(self._lease)
            return
        try:
            self.wish = self._store.renew(self._lease, self._settings.lease_seconds)
        except DatabaseError:
            self._meters.missed_renewals.inc()
            raise
        self._meters.renewals.inc()
        self._renewed, self.held_until = asked, asked + self._settings.lease_seconds
