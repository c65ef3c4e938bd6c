"""The lease of a job: renewed while an attempt runs, and with it the owner's request read."""

import time

from service.core.errors import DatabaseError, LeaseLost
from service.core.records.job import ControlRequest
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.core.sql.jobs.leases import JobLeases
from service.core.system.resilience import LeaseKeeper
from workers.telemetry.metrics import WorkerMetrics

POLL_SECONDS = 1.0  # between two readings of the owner's request, which are more frequent than renewals


class JobLeaseKeeper(LeaseKeeper):
    """Keeps the lease of a job; `request` is what the job's owner last asked for.

    The lease counts from before each renewal was sent, by this machine's monotonic clock: it ends here (`held_until`)
    no later than in the database. So a worker that cannot reach the database stops before another may start.
    """

    def __init__(
        self, settings: Settings, store: JobLeases, lease: Lease, claimed_at: float, metrics: WorkerMetrics
    ) -> None:
        """`claimed_at`: the monotonic time just before the lease was claimed."""
        super().__init__(lease.job_id, min(POLL_SECONDS, settings.heartbeat_seconds))
        self._settings, self._store, self._lease, self._metrics = settings, store, lease, metrics
        self._renewed_at = time.monotonic()
        self.held_until = claimed_at + settings.lease_seconds
        self.request: ControlRequest | None = None

    def check(self) -> None:
        """Raise LeaseLost if a renewal did, or if no renewal has succeeded for as long as the lease lasts."""
        super().check()
        if time.monotonic() > self.held_until:
            raise LeaseLost(f"the lease of {self._what} ran out before the database could be reached")

    def _renew(self) -> None:
        began = time.monotonic()
        if began - self._renewed_at < self._settings.heartbeat_seconds:
            self.request = self._store.control_request(self._lease)
            return
        try:
            self.request = self._store.renew(self._lease, self._settings.lease_seconds)
        except DatabaseError:
            self._metrics.missed_renewals.inc()
            raise
        self._metrics.renewals.inc()
        self._renewed_at, self.held_until = began, began + self._settings.lease_seconds
