"""The pipe between a process that trains and its supervisor."""

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from workers.trainer.report_log import say
from workers.training.parent import die_with_parent

NEWS_SECONDS = 15.0  # how often the log says that an epoch goes on
TELL_SECONDS = 0.5  # how often the supervisor is told that batches are trained

LAST_WORDS = ("phase", "ended", "failed")  # before these come the last batches of what is over

Report = Callable[[str, dict[str, Any]], None]

log = logging.getLogger(__name__)


class Channel:
    """The pipe to the supervisor, from either side of the training: reports go out from any thread, wishes come in.

    Without a supervisor there is nobody to train for: exit. Likewise once its lease has run out: another worker may
    have the job by then, and a supervisor that is frozen cannot end us.
    """

    def __init__(self, connection: Connection, held_until: float) -> None:
        self._connection, self._held_until = connection, held_until
        self._sending = threading.Lock()
        self._reason: str | None = None
        self._steps = 0
        for target in (self._listen, self._tell):
            threading.Thread(target=target, daemon=True).start()

    def report(self, kind: str, content: dict[str, Any]) -> None:
        say(kind, content)
        with self._sending:
            if kind in LAST_WORDS:
                self._send_steps()
            self._connection.send((kind, content))

    def stop_reason(self) -> str | None:
        """Why to stop now, asked before every batch; so it counts the batches as well."""
        self._steps += 1
        return self._reason

    def _listen(self) -> None:
        try:
            while self._connection.poll(max(0.0, self._held_until - time.monotonic())):
                kind, content = self._connection.recv()
                if kind == "stop":
                    self._reason = content
                else:
                    self._held_until = content
        except (EOFError, OSError):
            pass
        os._exit(1)

    def _send_steps(self) -> None:
        """To be called with the lock held: a count taken before it may go out after a later one."""
        self._connection.send(("steps", {"steps": self._steps}))

    def _tell(self) -> None:
        told_at, told = time.monotonic(), 0
        while True:
            time.sleep(TELL_SECONDS)
            try:
                with self._sending:
                    self._send_steps()
            except OSError:
                os._exit(1)
            if (passed := time.monotonic() - told_at) >= NEWS_SECONDS:
                if self._steps > told:
                    log.info("%d batches trained, %.1f a second now", self._steps, (self._steps - told) / passed)
                told_at, told = time.monotonic(), self._steps


def die_with_supervisor() -> None:
    """Linux kills us when the server that we were forked from dies; a thread ends us when who asked for us does."""
    die_with_parent()
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        threading.Thread(target=_follow, args=(supervisor,), daemon=True).start()


def _follow(supervisor: BaseProcess) -> None:
    supervisor.join()
    os._exit(1)
