"""The Celery app of a worker: its one task, and the start and end of its process."""

import os
import threading
import time
from contextlib import ExitStack
from typing import Any

from celery import signals

from service.core.broker.hints import TRAIN, make_celery
from service.core.settings import Settings
from service.core.telemetry import logging_setup
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
GOODBYE_SECONDS = 5.0  # for Celery to close its connection to the broker
WAKE_SECONDS = 0.1  # the longest time for which an idle worker leaves a hint in the queue


class Host:
    """Holds the worker of this process, which is made when Celery starts and not when this module is imported."""

    worker: Worker


settings = Settings.from_env()
app = make_celery(settings.broker_url)
host = Host()


@app.task(name=TRAIN)
def train(job_id: str) -> None:
    """Run the job that is first in the queue, which need not be the one that the hint names, and those after it."""
    if host.worker.run_next(job_id):
        host.worker.run_queued()


@signals.setup_logging.connect
def _set_up_logging(**kwargs: Any) -> None:
    logging_setup.set_up(settings.log_format, settings.log_level)


@signals.worker_ready.connect
def _start(sender: Any, **kwargs: Any) -> None:
    host.worker.start()
    sender.hub.call_repeatedly(WAKE_SECONDS, _wake_event_loop)


def _wake_event_loop() -> None:
    """Nothing. Without prefetching, Celery asks for the next hint when its event loop turns, else once a second."""


@signals.worker_shutting_down.connect
def _stop(**kwargs: Any) -> None:
    host.worker.stop()
    threading.Thread(target=_exit_when_idle, name="exit", daemon=True).start()


def _exit_when_idle() -> None:
    """End the process once its job is put back, even where Celery waits for a broker that does not answer."""
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
            registry = worker.metrics.registry
            server = StatusServer(settings.metrics_host, settings.metrics_port, registry, worker.problem)
            stack.enter_context(server)
        stack.callback(worker.close)  # the status server answers until the worker has put its job back
        app.worker_main(list(ARGUMENTS))
