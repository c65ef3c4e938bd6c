"""Keeps the queue moving: takes back what lost workers held, and sends lost hints again.

Safe in any number of processes: both are idempotent, and a hint too many finds nothing to claim.
"""

import logging
import threading
from collections.abc import Callable

from service.core.broker.hints import HintQueue
from service.core.records.job import Status
from service.core.resilience import repeat
from service.core.settings import Settings
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry

LEAST_WINDOW = 4  # hints in flight when hardly any worker is known

log = logging.getLogger(__name__)


class Dispatcher:
    """Run by every API and every worker process, every few seconds."""

    def __init__(
        self, settings: Settings, store: Store, registry: WorkerRegistry, queue: HintQueue,
        on_lost: Callable[[int], None] = lambda jobs: None,
    ) -> None:  # fmt: skip
        """`on_lost` is told how many jobs were taken from lost workers, each time there were any."""
        self._settings, self._store, self._registry, self._queue = settings, store, registry, queue
        self._on_lost = on_lost

    def reap(self) -> dict[str, Status]:
        """Put back, or end, the jobs whose worker has let its lease run out; returns what became of each."""
        became = self._store.leases.reap(self._settings.retries)
        for job_id, status in became.items():
            log.warning("the worker of %s was lost; the job is %s", job_id, status, extra={"job_id": job_id})
        if became:
            self._on_lost(len(became))
        return became

    def dispatch(self) -> int:
        """Send what is due, of about two jobs for each live worker; returns how many hints went out."""
        alive = self._registry.live_workers(within=self._settings.lease_seconds)
        window = max(LEAST_WINDOW, 2 * len(alive))
        due = self._store.leases.due_hints(window, self._settings.hint_seconds, alive.values())
        unsent = [job_id for job_id in due if not self._queue.send(job_id)]
        for job_id in unsent:
            self._store.leases.forget_hints(job_id)
        return len(due) - len(unsent)

    def run(self, stop: threading.Event) -> None:
        """Do both until stopped; a database that is away is tried again."""
        repeat(self._turn, self._settings.dispatch_seconds, stop, "dispatch")

    def _turn(self) -> None:
        self.reap()
        self.dispatch()
