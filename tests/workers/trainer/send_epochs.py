"""`python -m tests.workers.trainer.send_epochs`: a channel reports four epochs at once, then the end of the training.

A program of its own, since a process ends whose supervisor closes the connection. Prints the names of the reports that
arrived before the end of the training was reported, and of those that arrived then, without the counts of batches.
"""

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection

from service.core.records.job import Phase
from tests.service.worker_steps import epoch
from workers.messages import EpochTrained, PhaseEntered, StepsTrained
from workers.trainer import channel


def main() -> None:
    channel.EPOCH_SECONDS = channel.STEPS_SECONDS = 600.0
    ours, theirs = multiprocessing.Pipe()
    supervised = channel.SupervisorChannel(theirs, held_until=time.monotonic() + 600)
    for number in range(1, 5):
        supervised.report(EpochTrained(epoch(number, 0.5)))
    before = _arrived(ours)
    supervised.report(PhaseEntered(Phase.FINALIZING))
    print(json.dumps([before, _arrived(ours)]))
    sys.stdout.flush()
    os._exit(0)


def _arrived(connection: Connection) -> list[str]:
    names = []
    while connection.poll():
        for report in connection.recv():
            if isinstance(report, EpochTrained):
                names.append(f"epoch {report.epoch.epoch}")
            elif not isinstance(report, StepsTrained):
                names.append(str(report.phase))
    return names


if __name__ == "__main__":
    main()
