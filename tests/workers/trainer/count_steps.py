"""`python -m tests.workers.trainer.count_steps`: a channel reports its steps while another thread receives them.

A program of its own, since a process ends whose supervisor closes the connection. Prints the counts, in the order in
which they arrived, up to the last report.
"""

import json
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from service.core.records.job import Phase, StopReason
from workers.messages import Ended, PhaseEntered, StepsTrained
from workers.trainer import channel

PHASES = 3_000


def main() -> None:
    channel.STEPS_SECONDS = 0  # the thread that reports the steps competes for the connection all the time
    ours, theirs = multiprocessing.Pipe()
    counts: list[int] = []
    receiver = threading.Thread(target=_receive, args=(ours, counts))
    receiver.start()
    supervised = channel.SupervisorChannel(theirs, held_until=time.monotonic() + 600)
    for _ in range(PHASES):
        supervised.stop_request()
        supervised.report(PhaseEntered(Phase.TRAINING))
    supervised.stop_request()
    supervised.report(Ended(StopReason.MAX_EPOCHS, epochs=1, best_epoch=1, broken_at=None))
    receiver.join()
    print(json.dumps(counts))
    sys.stdout.flush()
    os._exit(0)


def _receive(connection: Connection, counts: list[int]) -> None:
    report: Any = None
    while not isinstance(report, Ended):
        for report in connection.recv():
            if isinstance(report, StepsTrained):
                counts.append(report.steps)


if __name__ == "__main__":
    main()
