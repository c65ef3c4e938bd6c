"""The Celery app of the worker side, and what happens when its process starts and ends."""

import os
import threading
import time
from contextlib import ExitStack
from typing import Any

from celery import signals

from service.core.broker.hints import make_celery
from service.core.settings import Settings
from service.core.telemetry import logging_setup
from workers import tasks
from workers.telemetry.status_server import StatusServer
from workers.worker import Worker

ARGUMENTS = (
    "--quiet",  # no banner
    "worker",
    "--pool=threads",
    "--concurrency=1",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
)


GOODBYE_SECONDS = 5.0  # for Celery to take leave of the broker
LOOK_SECONDS = 0.1  # how long a worker that has become free may leave a hint unseen


class Host:
    """Holds the worker of this process, which is made when Celery starts and not when this module is imported."""

    worker: Worker

    def run_next(self, hinted: str) -> str | None:
        return self.worker.run_next(hinted)


settings = Settings.from_env()
app = make_celery(settings.broker_url)
host = Host()
tasks.register(app, host.run_next)


@signals.setup_logging.connect
def _set_up_logging(**kwargs: Any) -> None:
    logging_setup.set_up(settings.log_format, settings.log_level)


@signals.worker_ready.connect
def _start(sender: Any, **kwargs: Any) -> None:
    host.worker.start()
    sender.hub.call_repeatedly(LOOK_SECONDS, _look_again)


def _look_again() -> None:
    """Without prefetching, Celery asks for the next hint only when its event loop turns: by itself, once a second."""


@signals.worker_shutting_down.connect
def _stop(**kwargs: Any) -> None:
    host.worker.stop()
    threading.Thread(target=_leave, name="leave", daemon=True).start()


def _leave() -> None:
    """End the process once its job is put back, even where Celery waits for a broker that answers no more."""
    host.worker.wait_until_idle()
    time.sleep(GOODBYE_SECONDS)
    host.worker.close()
    os._exit(0)


def main() -> None:
    """Run a worker until SIGTERM or Ctrl-C. Raises SettingsError before any hint is taken."""
    _set_up_logging()
    host.worker = worker = Worker(settings)
    with ExitStack() as stack:
        if settings.metrics_port:
            window = StatusServer(settings.metrics_host, settings.metrics_port, worker.meters.registry, worker.ails)
            stack.enter_context(window)
        stack.callback(worker.close)  # it can be seen until it has let go of its job
        app.worker_main(list(ARGUMENTS))
