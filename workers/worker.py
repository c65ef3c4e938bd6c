"""One worker process: the fork server, the supervisor, and the threads that run beside it."""

import logging
import threading
import time
from functools import partial
from importlib import metadata

from prometheus_client import ProcessCollector

from service.core.actions.dispatcher import Dispatcher
from service.core.broker.hints import HintQueue
from service.core.broker.wakeups import Wakeups
from service.core.errors import DatabaseError, NoRoom
from service.core.records.capacity import Capacity
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.weights import WeightsStore
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import open_storage
from service.core.system import private_folder
from service.core.system.resilience import repeat
from service.core.telemetry.metrics import REAPER, HostMetrics
from service.core.telemetry.tracing import Tracing
from workers.datasets.cache import DatasetCache
from workers.datasets.reader_loop import DatasetReader
from workers.scratch import sweep
from workers.supervisor import forkserver
from workers.supervisor.slots import Slots
from workers.supervisor.supervisor import Supervisor
from workers.telemetry.gpus import Gpus
from workers.telemetry.metrics import WorkerMetrics
from workers.telemetry.observer import Observer

STUCK_SECONDS = 60.0  # longer than any call to a database that does not answer
GOODBYE_SECONDS = 10.0  # for each thread that holds nothing

log = logging.getLogger(__name__)


class Worker:
    """Made when the Celery worker starts; its task calls `run_next`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database_url)
        wakeups = Wakeups(settings.broker_url)
        self._store = Store(self._database, wakeups.publish, settings.quotas)
        datasets = DatasetStore(self._database, wakeups.publish, settings.quotas)
        self._registry = WorkerRegistry(self._database)
        self._tracing = Tracing("rightfit-worker")
        self.metrics = _new_metrics(settings)
        storage = self.metrics.common.watched(open_storage(settings.storage_url))
        private_folder(settings.home)
        sweep(settings.home / "scratch")
        context, self._forkserver = forkserver.start()
        self._capacity = _capacity(settings, self._forkserver)
        packs, reserve = settings.home / "datasets", settings.disk_reserve_bytes
        cache = DatasetCache(packs, datasets, storage, settings.cache_bytes, reserve)
        observer = Observer(self.metrics, self._tracing)
        self._supervisor = Supervisor(
            settings, self._store.leases, storage, cache, context, self._capacity, observer, wakeups.publish_position
        )
        self._slots = Slots(self._supervisor, self._capacity)
        weights = WeightsStore(self._database)
        self._dataset_reader = DatasetReader(
            settings, datasets, weights, storage, cache, wakeups, self._supervisor.worker
        )
        count_lost = partial(self.metrics.common.lost, REAPER)
        dispatcher = Dispatcher(settings, self._store, self._registry, HintQueue(settings.broker_url), count_lost)
        self._stop = threading.Event()
        self._heartbeat_at = time.monotonic()  # when the last heartbeat began, successful or not
        self._claiming = threading.Lock()
        self._threads = [
            threading.Thread(target=dispatcher.run, args=(self._stop,), name="dispatcher", daemon=True),
            threading.Thread(target=self._dataset_reader.run, args=(self._stop,), name="dataset-reader", daemon=True),
            threading.Thread(target=self._send_heartbeats, name="heartbeat", daemon=True),
            threading.Thread(target=self._poll_queue, name="queue-poll", daemon=True),
        ]

    def run_next(self, hinted: str | None = None) -> str | None:
        """Start the job that is first in the queue, as soon as there is room for it; returns its id, None where no job
        waits for this worker. Returns once there is room for another one: until then, hints stay for other workers.
        """
        with self._claiming:
            while True:
                try:
                    job_id = self._slots.start_next()
                    break
                except NoRoom:
                    self._defer(hinted)  # an idle worker may take the job meanwhile
                    hinted = None
                    self._slots.wait_for_change(self._settings.dispatch_seconds)
            self._slots.wait_for_room()
        if job_id is None:
            self._defer(hinted)
        return job_id

    def _defer(self, hinted: str | None) -> None:
        """The hint is for another worker: sent again at once, it would go round between dispatchers."""
        if hinted is not None:
            self._store.hints.defer_hint(hinted, self._settings.hint_seconds, self._settings.dispatch_seconds)

    def start(self) -> None:
        """Start the threads: heartbeats, dispatcher, data set reader, and polling of the queue."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Put the running jobs back; called when the process is asked to end."""
        self._supervisor.stop()

    def wait_until_idle(self) -> None:
        """Return once no job is held; after `stop`, none will be."""
        with self._claiming:
            self._slots.wait_until_idle()

    def close(self) -> None:
        """Put back the jobs and the data set that are held, however long that takes, and deregister the worker."""
        self._supervisor.stop()
        self._stop.set()
        self.wait_until_idle()
        with self._dataset_reader.holding:
            pass
        for thread in self._threads:
            if thread.is_alive():
                thread.join(GOODBYE_SECONDS)  # it may wait for a database that does not answer
        self._tracing.close()
        self._database.close()
        forkserver.stop(self._forkserver)

    def problem(self) -> str | None:
        """A problem that a restart of this worker can solve; None where there is none.

        An absent database or Redis is no such problem.
        """
        if self._stop.is_set():
            return None
        started = [thread for thread in self._threads if thread.ident is not None]
        if dead := [thread.name for thread in started if not thread.is_alive()]:
            return f"threads have died: {', '.join(dead)}"
        silent = time.monotonic() - self._heartbeat_at
        if started and silent > STUCK_SECONDS + 3 * self._settings.heartbeat_seconds:
            return f"no heartbeat was sent to the database for {silent:.0f} s"
        return None

    def _poll_queue(self) -> None:
        """Run queued jobs without a hint now and then: hints may be lost, however Redis or its connection fails."""
        repeat(self.run_queued, self._settings.hint_seconds, self._stop, "look for work")

    def run_queued(self) -> None:
        """Run the queued jobs, each once there is room for it: the hint of each would come up to 0.1 s later."""
        while not self._claiming.locked() and self.run_next():
            pass

    def _send_heartbeats(self) -> None:
        while True:
            self._heartbeat_at = time.monotonic()
            try:
                self._registry.heartbeat(self._supervisor.worker, 10 * self._settings.lease_seconds, self._capacity)
                if self._stop.wait(self._settings.heartbeat_seconds):
                    return self._registry.deregister(self._supervisor.worker)
            except DatabaseError as error:
                log.warning("cannot send a heartbeat, will try again: %s", error)
                if self._stop.wait(self._settings.heartbeat_seconds):
                    return None


def _new_metrics(settings: Settings) -> WorkerMetrics:
    metrics = WorkerMetrics()
    for collector in (HostMetrics(settings.home), Gpus()):
        metrics.registry.register(collector)
    ProcessCollector(registry=metrics.registry)
    return metrics


def _capacity(settings: Settings, info: forkserver.ForkServerInfo) -> Capacity:
    return Capacity(
        gpus=len(info.gpu_memory_bytes),
        gpu_memory_bytes=min(info.gpu_memory_bytes, default=0),
        threads=settings.threads,
        memory_bytes=info.memory_bytes,
        version=metadata.version("rightfit"),
        slots=settings.slots or settings.threads,
    )
