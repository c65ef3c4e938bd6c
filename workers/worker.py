"""One worker process: the warm server, the supervisor, and the threads that greet, dispatch and look for work."""

import logging
import threading
from importlib import metadata

from sqlalchemy.exc import SQLAlchemyError

from service.core.capacity import Capacity
from service.core.catalog import Catalog
from service.core.database import Database
from service.core.dispatcher import Dispatcher
from service.core.events import Wakeups
from service.core.queue import HintQueue
from service.core.registry import Registry
from service.core.repeating import repeat
from service.core.settings import Settings
from service.core.storage import open_storage
from service.core.store import Store
from workers import warm
from workers.librarian import Librarian
from workers.scratch import sweep
from workers.shelf import Shelf
from workers.supervisor import Supervisor

log = logging.getLogger(__name__)


class Worker:
    """Made when the Celery worker starts; `run_next` is what its task calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database_url)
        wakeups = Wakeups(settings.redis_url)
        self._store = store = Store(self._database, wakeups.publish, settings.quotas)
        catalog = Catalog(self._database, wakeups.publish, settings.quotas)
        storage = open_storage(settings.storage_url)
        self._registry = Registry(self._database)
        self._dispatcher = Dispatcher(settings, store, self._registry, HintQueue(settings.redis_url))
        sweep(settings.home / "scratch")
        context, self._warmth = warm.start()
        shelf = Shelf(settings.home / "datasets", catalog, storage, settings.cache_bytes)
        self._capacity = Capacity(
            gpus=len(self._warmth.gpu_memory_bytes),
            gpu_memory_bytes=min(self._warmth.gpu_memory_bytes, default=0),
            threads=settings.threads,
            memory_bytes=self._warmth.memory_bytes,
            version=metadata.version("rightfit"),
        )
        self._supervisor = Supervisor(settings, store, storage, shelf, context, self._capacity)
        librarian = Librarian(settings, catalog, storage, shelf, wakeups, self._supervisor.worker)
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._threads = [
            threading.Thread(target=self._dispatcher.run, args=(self._stop,), name="dispatcher", daemon=True),
            threading.Thread(target=librarian.run, args=(self._stop,), name="librarian", daemon=True),
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
            self._store.put_off_hint(hinted, self._settings.hint_seconds, self._settings.dispatch_seconds)
        return taken

    def start(self) -> None:
        """Be seen, and keep the queue moving."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Put the running job back; called when the process is told to end."""
        self._supervisor.stop()

    def wait_until_idle(self) -> None:
        """Return once no job is run; after `stop`, none will be."""
        with self._busy:
            pass

    def close(self) -> None:
        """Say goodbye."""
        self._supervisor.stop()
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._database.close()
        warm.stop(self._warmth)

    def _look(self) -> None:
        """Take what is there now and then without a hint: none may have come, however Redis or its connection fails."""
        repeat(self._run_what_waits, self._settings.hint_seconds, self._stop, "look for work")

    def _run_what_waits(self) -> None:
        while not self._busy.locked() and self.run_next():
            pass

    def _greet(self) -> None:
        while True:
            try:
                self._registry.greet(self._supervisor.worker, 10 * self._settings.lease_seconds, self._capacity)
                if self._stop.wait(self._settings.heartbeat_seconds):
                    return self._registry.farewell(self._supervisor.worker)
            except SQLAlchemyError as error:
                log.warning("cannot say that this worker is alive, will try again: %s", error)
                if self._stop.wait(self._settings.heartbeat_seconds):
                    return None
