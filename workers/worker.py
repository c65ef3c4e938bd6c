"""One worker process: the warm server, the supervisor, and the threads that greet, dispatch and look for work."""

import logging
import threading
import time
from functools import partial
from importlib import metadata

from prometheus_client import ProcessCollector

from service.core.actions.dispatcher import Dispatcher
from service.core.broker.hints import HintQueue
from service.core.broker.wakeups import Wakeups
from service.core.errors import DatabaseError
from service.core.records.capacity import Capacity
from service.core.resilience import repeat
from service.core.settings import Settings
from service.core.sql.datasets import DatasetStore
from service.core.sql.engine import Database
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import open_storage
from service.core.telemetry.metrics import REAPER, Surroundings
from service.core.telemetry.tracing import Tracing
from workers.datasets.cache import DatasetCache
from workers.datasets.reader_loop import DatasetReader
from workers.scratch import sweep
from workers.supervisor import forkserver
from workers.supervisor.supervisor import Supervisor
from workers.telemetry.gpus import Gpus
from workers.telemetry.metrics import WorkerMetrics
from workers.telemetry.observer import Observer

STUCK_SECONDS = 60.0  # longer than any call to a database that has gone without a word

GOODBYE_SECONDS = 10.0  # for each thread that holds nothing

log = logging.getLogger(__name__)


class Worker:
    """Made when the Celery worker starts; `run_next` is what its task calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database_url)
        wakeups = Wakeups(settings.broker_url)
        self._store = store = Store(self._database, wakeups.publish, settings.quotas)
        catalog = DatasetStore(self._database, wakeups.publish, settings.quotas)
        self.meters = WorkerMetrics()
        self._tracing = Tracing("rightfit-worker")
        for looked_up in (Surroundings(settings.home), Gpus()):
            self.meters.registry.register(looked_up)
        ProcessCollector(registry=self.meters.registry)
        storage = self.meters.common.watched(open_storage(settings.storage_url))
        self._registry = WorkerRegistry(self._database)
        lost = partial(self.meters.common.lost, REAPER)
        self._dispatcher = Dispatcher(settings, store, self._registry, HintQueue(settings.broker_url), lost)
        sweep(settings.home / "scratch")
        context, self._warmth = forkserver.start()
        shelf = DatasetCache(settings.home / "datasets", catalog, storage, settings.cache_bytes)
        self._capacity = Capacity(
            gpus=len(self._warmth.gpu_memory_bytes),
            gpu_memory_bytes=min(self._warmth.gpu_memory_bytes, default=0),
            threads=settings.threads,
            memory_bytes=self._warmth.memory_bytes,
            version=metadata.version("rightfit"),
        )
        observer = Observer(self.meters, self._tracing)
        self._supervisor = Supervisor(settings, store.leases, storage, shelf, context, self._capacity, observer)
        self._librarian = DatasetReader(settings, catalog, storage, shelf, wakeups, self._supervisor.worker)
        self._stop = threading.Event()
        self._turned_at = time.monotonic()  # when the greeter last came round, heard or not
        self._busy = threading.Lock()
        self._threads = [
            threading.Thread(target=self._dispatcher.run, args=(self._stop,), name="dispatcher", daemon=True),
            threading.Thread(target=self._librarian.run, args=(self._stop,), name="librarian", daemon=True),
            threading.Thread(target=self._greet, name="greeter", daemon=True),
            threading.Thread(target=self._look, name="looker", daemon=True),
        ]

    def run_next(self, hinted: str | None = None) -> str | None:
        """Run the job that is first in the queue, if there is one for us. A hint of a job that is for another worker
        goes back, to be sent again after a while: at once, and every dispatcher there is would send it round and round.
        """
        with self._busy:
            taken = self._supervisor.run_next()
        if taken is None and hinted is not None:
            self._store.leases.defer_hint(hinted, self._settings.hint_seconds, self._settings.dispatch_seconds)
        return taken

    def start(self) -> None:
        """Be seen, and keep the queue moving."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Put the running job back; called when the process is told to end."""
        self._supervisor.stop()

    def wait_until_idle(self) -> None:
        """Return once no job is held; after `stop`, none will be."""
        with self._supervisor.holding:
            pass

    def close(self) -> None:
        """Let go of the job and of the data set that are held, however long that takes, and say goodbye."""
        self._supervisor.stop()
        self._stop.set()
        self.wait_until_idle()
        with self._librarian.holding:
            pass
        for thread in self._threads:
            if thread.is_alive():
                thread.join(GOODBYE_SECONDS)  # it may hang in a database that does not answer
        self._tracing.close()
        self._database.close()
        forkserver.stop(self._warmth)

    def ails(self) -> str | None:
        """What keeps this worker from working, for whoever may restart it; that the database or Redis is away is
        nothing that a restart would cure.
        """
        if self._stop.is_set():
            return None
        started = [thread for thread in self._threads if thread.ident is not None]
        if dead := [thread.name for thread in started if not thread.is_alive()]:
            return f"threads have died: {', '.join(dead)}"
        silent = time.monotonic() - self._turned_at
        if started and silent > STUCK_SECONDS + 3 * self._settings.heartbeat_seconds:
            return f"nothing was said to the database for {silent:.0f} s"
        return None

    def _look(self) -> None:
        """Take what is there now and then without a hint: none may have come, however Redis or its connection fails."""
        repeat(self._run_what_waits, self._settings.hint_seconds, self._stop, "look for work")

    def _run_what_waits(self) -> None:
        while not self._busy.locked() and self.run_next():
            pass

    def _greet(self) -> None:
        while True:
            self._turned_at = time.monotonic()
            try:
                self._registry.heartbeat(self._supervisor.worker, 10 * self._settings.lease_seconds, self._capacity)
                if self._stop.wait(self._settings.heartbeat_seconds):
                    return self._registry.deregister(self._supervisor.worker)
            except DatabaseError as error:
                log.warning("cannot say that this worker is alive, will try again: %s", error)
                if self._stop.wait(self._settings.heartbeat_seconds):
                    return None
