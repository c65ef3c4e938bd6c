"""The trainer process: it trains one job and reports how that ended.

It uses no database and no queue. It exchanges the messages of workers.messages with its supervisor, and ends with it.
"""

import logging
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from workers.messages import Ending
from workers.scratch import Scratch
from workers.trainer.channel import SupervisorChannel, die_with_supervisor
from workers.trainer.outcome import failed, how_it_ended
from workers.trainer.score_model import score_model
from workers.trainer.stdout_to_log import redirect_output
from workers.trainer.train_job import train_job
from workers.trainer.training_process import TrainingProcess, pick_device, read_spec
from workers.trainer_args import TrainerArgs
from workers.training.process import tune

log = logging.getLogger(__name__)


def main(args: TrainerArgs, connection: Connection) -> None:
    """Train one job, in this process or in a group that it starts, and report how the run ended."""
    die_with_supervisor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    redirect_output(Scratch(Path(args.folder)).log)
    log.info("attempt %d by %s, torch %s, %d threads", args.attempt, args.worker, torch.__version__, args.threads)
    if args.spec.get("gpus", 1) != 1:
        from workers.trainer.distributed import train_distributed  # noqa: PLC0415 - it loads torch's compiler

        train_distributed(args, connection)
        return
    channel = SupervisorChannel(connection, args.held_until)
    ending: Ending
    try:
        tune(args.threads)
        spec = read_spec(args.spec)
        process = TrainingProcess(args, spec, channel, pick_device(spec))
        ending = score_model(process) if args.only_scores else how_it_ended(train_job(process))
    except Exception as error:  # noqa: BLE001 - the report says what it was
        ending = failed(error, args)
    channel.report(ending)
