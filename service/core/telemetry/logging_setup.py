"""The format of log lines: for people (`console`) or one JSON object each (`json`), with the bound context.

Modules log by `logging.getLogger(__name__)`, as libraries do. The start of each process calls `set_up` once. The ids
of the request, and those bound by `structlog.contextvars` (a job and its attempt, a trace), are in every line.
"""

import logging
import logging.config
import sys
from typing import Any

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import Processor

from service.core.telemetry.correlation import add_ids

FORMATS = ("console", "json")
LEVELS = ("info", "debug", "warning", "error")
# Libraries that log each request at level info.
QUIET = ("httpx", "httpcore", "urllib3", "botocore", "alembic")


def formatter(form: str) -> logging.Formatter:
    """The formatter of all records, of this package and of libraries. `form` is one of FORMATS."""
    collected: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_ids,
        add_log_level,
        add_logger_name,
        ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor]
    if form == "json":
        rendered = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    else:
        plain = structlog.dev.plain_traceback
        rendered = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain, pad_event_to=0)
        ]
    return ProcessorFormatter(
        foreign_pre_chain=collected, processors=[ProcessorFormatter.remove_processors_meta, *rendered]
    )


def configuration(form: str, level: str) -> dict[str, Any]:
    """The configuration of `logging`, as its `dictConfig` takes it: everything to stderr in one form."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": formatter, "form": form}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {name: {"level": "WARNING"} for name in QUIET},
    }


def set_up(form: str, level: str) -> None:
    """Configure the logging of this process; to be called where it starts, never at import."""
    logging.config.dictConfig(configuration(form, level))
    logging.captureWarnings(True)
