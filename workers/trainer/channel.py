"""The channel of a training process to its supervisor: reports go out, orders come in."""

import logging
import multiprocessing
import os
import threading
import time
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import assert_never

from service.core.records.position import Position
from service.core.system import die_with_parent
from workers.messages import (
    Ended,
    EpochTrained,
    Failed,
    LeaseExtended,
    Order,
    PhaseEntered,
    Released,
    Report,
    StepsTrained,
    Stop,
)
from workers.trainer.report_log import log_report
from workers.trainer_args import StopRequest

PROGRESS_SECONDS = 15.0  # between two lines of the log about the speed
STEPS_SECONDS = 0.5  # between two reports of the number of batches
POSITION_SECONDS = 2.0  # between two of them that say where the run is within its epoch
EPOCH_SECONDS = 0.1  # least time between two batches of epochs, each a transaction: SQLite has one writer at a time

log = logging.getLogger(__name__)


class Channel:
    """A channel without a supervisor: for the processes of a group that do not lead it."""

    def report(self, report: Report) -> None:
        """Send a report; may be called from any thread."""

    def stop_request(self) -> StopRequest | None:
        """Why to stop now. To be called before every batch, since the channel counts the batches by it."""

    def set_position(self, position: Position) -> None:
        """Note where the run is, for the next report of the number of batches."""


class SupervisorChannel(Channel):
    """A channel over a connection, served by two threads of its own.

    The process exits when the supervisor closes its end, and when the lease ends: another worker may hold the job then,
    and a supervisor that is frozen cannot kill its trainer.
    """

    def __init__(self, connection: Connection, held_until: float) -> None:
        self._connection, self._held_until = connection, held_until
        self._sending = threading.Lock()
        self._epochs: list[EpochTrained] = []  # that are not sent yet
        self._epochs_due = 0.0  # time.monotonic
        self._stop_request: StopRequest | None = None
        self._steps = 0
        self._position: Position | None = None
        threading.Thread(target=self._receive_orders, name="orders", daemon=True).start()
        threading.Thread(target=self._report_steps, name="steps", daemon=True).start()

    def report(self, report: Report) -> None:
        """Log and send a report. The number of batches trained goes before the report that ends a phase or the run.

        The epochs of EPOCH_SECONDS are sent together; those that wait go before every other report.
        """
        log_report(report)
        with self._sending:
            if isinstance(report, EpochTrained):
                self._epochs.append(report)
                if time.monotonic() >= self._epochs_due:
                    self._send()
            elif isinstance(report, PhaseEntered | Ended | Released | Failed):
                self._send(StepsTrained(self._steps), report)
            else:
                self._send(report)

    def stop_request(self) -> StopRequest | None:
        self._steps += 1
        return self._stop_request

    def set_position(self, position: Position) -> None:
        self._position = position

    def _receive_orders(self) -> None:
        try:
            while self._connection.poll(max(0.0, self._held_until - time.monotonic())):
                order: Order = self._connection.recv()
                match order:
                    case Stop(request):
                        self._stop_request = request
                    case LeaseExtended(held_until):
                        self._held_until = held_until
                    case _:
                        assert_never(order)
        except (EOFError, OSError):
            pass
        os._exit(1)

    def _send(self, *reports: Report) -> None:
        """Send the epochs that wait, and these reports. Call with the lock held, so that the counts of batches that are
        sent never fall.
        """
        self._connection.send([*self._epochs, *reports])
        self._epochs.clear()
        self._epochs_due = time.monotonic() + EPOCH_SECONDS

    def _report_steps(self) -> None:
        logged_at, logged_steps = time.monotonic(), 0
        for turn in count(1):
            time.sleep(STEPS_SECONDS)
            is_due = turn * STEPS_SECONDS % POSITION_SECONDS == 0
            try:
                with self._sending:
                    self._send(StepsTrained(self._steps, self._position if is_due else None))
            except OSError:
                os._exit(1)
            if (passed := time.monotonic() - logged_at) >= PROGRESS_SECONDS:
                if self._steps > logged_steps:
                    rate = (self._steps - logged_steps) / passed
                    log.info("batches trained: %d, %.1f a second now", self._steps, rate)
                logged_at, logged_steps = time.monotonic(), self._steps


def die_with_supervisor() -> None:
    """End this process when its fork server ends (prctl, on Linux) or when its supervisor ends (a thread waits)."""
    die_with_parent()
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        threading.Thread(target=_exit_after, args=(supervisor,), name="supervisor", daemon=True).start()


def _exit_after(supervisor: BaseProcess) -> None:
    supervisor.join()
    os._exit(1)
