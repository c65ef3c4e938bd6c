"""What a process does again and again beside its work, whatever goes wrong in between."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)


def repeat(action: Callable[[], object], seconds: float, stop: threading.Event, what: str) -> None:
    """Do it every so many seconds until stopped; `what` says it in logs: cannot …, will try again."""
    while not stop.wait(seconds):
        attempt(action, what)


def attempt(action: Callable[[], object], what: str) -> None:
    """Do it once: a database that is away, or a row that a newer release has written, will pass."""
    try:
        action()
    except SQLAlchemyError as error:
        log.warning("cannot %s, will try again: %s", what, error)
    except Exception:
        log.exception("cannot %s, will try again", what)
