"""One attempt at a job: all that the parts of a supervisor share about it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from service.core.records.job_log import LogLine
from service.core.records.lease import Lease
from service.core.settings import Settings
from service.core.sql.jobs.leases import JobLeases
from service.core.storage import Storage
from workers.scratch import Scratch
from workers.supervisor.lease import JobLeaseKeeper
from workers.supervisor.persistence import WorkerStop, persist
from workers.telemetry.observer import AttemptObserver

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """A claimed job with its lease, which `keeper` renews, and its scratch folder.

    `on_trained` is to be called once the training has ended. `publish_position` sends how far the job of an id
    is.
    """

    worker: str
    lease: Lease
    keeper: JobLeaseKeeper
    scratch: Scratch
    settings: Settings
    store: JobLeases
    storage: Storage
    observer: AttemptObserver
    stop: WorkerStop
    on_trained: Callable[[], None]
    publish_position: Callable[[str, Mapping[str, int]], None]

    def __str__(self) -> str:
        return f"job {self.lease.job_id} attempt {self.lease.attempt}"

    @property
    def prefix(self) -> str:
        """The storage keys of what this attempt publishes begin with it."""
        return f"jobs/{self.lease.job_id}/a{self.lease.attempt}"

    @property
    def checkpoints_prefix(self) -> str:
        return f"{self.prefix}/checkpoints"

    def write(self, method: Callable[Concatenate[Lease, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the store with the lease; while the database is away, until the lease ends.

        Every write is fenced by the lease. Raises LeaseLost.
        """
        return persist(lambda: method(self.lease, *args, **kwargs), self.keeper.check, self.stop)

    def write_log(self, lines: Sequence[LogLine]) -> None:
        """Add lines to the job's log. Those above level info go to the worker's log too. Raises LeaseLost."""
        for line in lines:
            if line.level != "info":
                log.warning("%s: %s: %s", self, line.level, line.message)
        if lines:
            self.write(self.store.write_log, lines)
