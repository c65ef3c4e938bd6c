"""gunicorn for the API. The default is one process with threads, because the API mostly waits for SQL and Redis."""

import os
import resource
import shutil
import tempfile
from typing import Any

from service.core.settings import Settings
from service.core.telemetry import logging_setup
from service.stack.standalone import refuse_open_door

FILES = 4096  # more than a process opens for its connections
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the folder in which several processes share their metrics


def _open_files() -> int:
    """Raise the limit of open files towards FILES; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES:
        soft = FILES if hard < 0 else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft if soft >= 0 else FILES


settings = Settings.from_env()
refuse_open_door(settings)

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
worker_class = "service.http.server.Server"
logger_class = "service.http.server_log.ServerLog"
workers = settings.api_processes
threads = settings.api_threads
worker_connections = min(1000, _open_files() // 2)  # beyond that, the one that has been silent longest is closed
timeout = 120  # seconds without a heartbeat of a process; longer than the longest ?wait
graceful_timeout = 5  # seconds for requests in flight after a stop signal
keepalive = 30  # seconds; pollers reuse their connection
control_socket_disable = True
forwarder_headers = ""  # ignore SCRIPT_NAME of clients: it would bypass a proxy's rules for paths
secure_scheme_headers: dict[str, str] = {}  # service/http/proxies.py reads the headers of trusted proxies
logconfig_dict = logging_setup.configuration(settings.log_format, settings.log_level)
logconfig_dict["loggers"] |= {"gunicorn.error": {"handlers": [], "propagate": True}}


def on_starting(server: Any) -> None:
    """Create a folder for the metrics. prometheus-client reads the variable when it loads the app, after this hook."""
    if settings.api_processes > 1:
        os.environ[METRICS_FOLDER] = tempfile.mkdtemp(prefix="rightfit-metrics-")


def child_exit(server: Any, worker: Any) -> None:
    """Reset the live gauges of an ended process. Its counters stay."""
    if METRICS_FOLDER in os.environ:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - the folder must exist first

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # prometheus-client


def on_exit(server: Any) -> None:
    if METRICS_FOLDER in os.environ:
        shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)
