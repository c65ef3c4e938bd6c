"""Keeps the queue moving: takes jobs back from lost workers, and sends lost hints again.

Safe in any number of processes: both steps are idempotent, and a superfluous hint finds no job to claim.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from service.core.broker.hints import HintQueue
from service.core.records.job import Status
from service.core.settings import Settings
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry
from service.core.system.resilience import repeat

LEAST_WINDOW = 4  # hints in flight at least, however few workers are alive

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dispatcher:
    """Run by every API and every worker process, every few seconds.

    `on_lost` is called with the number of jobs that one reap has taken back from lost workers, if there were any.
    """

    settings: Settings
    store: Store
    registry: WorkerRegistry
    queue: HintQueue
    on_lost: Callable[[int], None] = lambda jobs: None

    def reap(self) -> dict[str, Status]:
        """Queue or end the jobs whose lease has expired; returns the new status of each by its id."""
        became = self.store.leases.reap(self.settings.retries)
        for job_id, status in became.items():
            log.warning("the worker of %s was lost; the job is %s", job_id, status, extra={"job_id": job_id})
        if became:
            self.on_lost(len(became))
        return became

    def dispatch(self) -> int:
        """Send the hints that are due, for at most two jobs per slot of a live worker; returns how many were sent."""
        alive = self.registry.live_workers(within=self.settings.lease_seconds)
        window = max(LEAST_WINDOW, 2 * sum(worker.slots for worker in alive.values()))
        due = self.store.hints.due_hints(window, self.settings.hint_seconds, alive.values())
        unsent = [job_id for job_id in due if not self.queue.send(job_id)]
        for job_id in unsent:
            self.store.hints.forget_hints(job_id)
        return len(due) - len(unsent)

    def run(self, stop: threading.Event) -> None:
        """Reap and dispatch until stopped; an unavailable database is tried again."""
        repeat(self._turn, self.settings.dispatch_seconds, stop, "dispatch")

    def _turn(self) -> None:
        self.reap()
        self.dispatch()
