"""gunicorn for the API: one process with threads by default, since its work is waiting for SQL and Redis."""

import os
import shutil
import tempfile
from typing import Any

from service.core.settings import Settings
from service.core.telemetry import logging_setup
from service.stack.standalone import refuse_open_door

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where several processes add up what they count

settings = Settings.from_env()
refuse_open_door(settings)

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
worker_class = "gthread"
workers = settings.api_processes
threads = settings.api_threads
timeout = 120  # seconds without a sign of life from a process; longer than the longest ?wait
graceful_timeout = 5  # seconds for requests in flight when told to stop
keepalive = 30  # seconds; pollers come back on the same connection
control_socket_disable = True
forwarder_headers = ""  # no client says where we are mounted: SCRIPT_NAME would lead around a proxy's rules for paths
logconfig_dict = logging_setup.configuration(settings.log_format, settings.log_level)
logconfig_dict["loggers"] |= {"gunicorn.error": {"handlers": [], "propagate": True}}


def on_starting(server: Any) -> None:
    """A fresh folder for what is counted; prometheus-client looks for it when the app is loaded, after this."""
    if settings.api_processes > 1:
        os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="rightfit-metrics-")


def child_exit(server: Any, worker: Any) -> None:
    """What a process that has ended was doing, it does no more; what it had counted stays."""
    if METRICS_FOLDER in os.environ:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - not before the folder is there

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # prometheus-client


def on_exit(server: Any) -> None:
    if METRICS_FOLDER in os.environ:
        shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)
