"""The trainer process: it runs one job and reports how that ended.

It knows no database and no queue. Reports go to the supervisor over a pipe as (kind, data) pairs; a stop reason that
comes back over it ends the run at the next batch. It dies with its supervisor.
"""

import logging
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from workers.scratch import Scratch
from workers.supervisor.forkserver import TrainerArgs
from workers.supervisor.trainer_log import begin
from workers.trainer.channel import Channel, die_with_supervisor
from workers.trainer.distributed import run_together
from workers.trainer.outcome import conclusion
from workers.trainer.train_job import pick_device, run, understood
from workers.training.loop import TrainingResult
from workers.training.process import tune

log = logging.getLogger(__name__)


def main(work: TrainerArgs, connection: Connection) -> None:
    """Run one job and report how it ended: `ended` with a stop reason, or `failed` with whose fault it was."""
    die_with_supervisor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin(Scratch(Path(work.folder)).log)
    log.info("attempt %d by %s, torch %s, %d threads", work.attempt, work.worker, torch.__version__, work.threads)
    if work.spec.get("gpus", 1) == 1:
        line = Channel(connection, work.held_until)
        line.report(*conclusion(lambda: _run_alone(work, line), work))
    else:
        run_together(work, connection)


def _run_alone(work: TrainerArgs, line: Channel) -> TrainingResult:
    tune(work.threads)
    spec = understood(work.spec)
    return run(spec, Scratch(Path(work.folder)), line.report, line.stop_reason, work, pick_device(spec))
