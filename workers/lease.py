"""Keeping a lease while a job runs: renewed from a thread of its own, whatever the supervisor waits for."""

import logging
import threading
import time
from types import TracebackType

from sqlalchemy.exc import SQLAlchemyError

from service.core.errors import LeaseLost
from service.core.jobs import Wish
from service.core.settings import Settings
from service.core.store import Lease, Store

LOOK_SECONDS = 1.0  # how often the owner's wish is read between two renewals

log = logging.getLogger(__name__)


class LeaseKeeper:
    """Within its block the lease is renewed; `check` raises LeaseLost once it is not ours any more.

    The lease counts from before each renewal was sent, by this machine's monotonic clock: it ends here no later than
    it ends in the database (`held_until`), so a worker that cannot reach the database stops before another may start.
    """

    def __init__(self, settings: Settings, store: Store, lease: Lease, asked: float) -> None:
        """`asked`: the monotonic time just before the lease was claimed."""
        self._settings, self._store, self._lease = settings, store, lease
        self.held_until = asked + settings.lease_seconds
        self._lost: LeaseLost | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{lease.job_id}", daemon=True)
        self.wish: Wish | None = None

    def __enter__(self) -> "LeaseKeeper":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLost if the database said so, or if it could not be asked for as long as the lease lasts."""
        if self._lost is not None:
            raise self._lost
        if time.monotonic() > self.held_until:
            raise LeaseLost(f"the lease of {self._lease.job_id} ran out before the database could be reached")

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._done.wait(min(LOOK_SECONDS, self._settings.heartbeat_seconds)):
            try:
                asked = time.monotonic()
                if asked - renewed < self._settings.heartbeat_seconds:
                    self.wish = self._store.wish(self._lease)
                    continue
                self.wish = self._store.renew(self._lease, self._settings.lease_seconds)
                renewed, self.held_until = asked, asked + self._settings.lease_seconds
            except LeaseLost as error:
                if not self._done.is_set():
                    self._lost = error
                return
            except SQLAlchemyError as error:
                log.warning("cannot renew the lease of %s, will try again: %s", self._lease.job_id, error)
