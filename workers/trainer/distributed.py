"""The processes that train one job together: started by torch's elastic launcher, the first of them at the pipe.

The launcher gives each its rank and a place to meet, and ends all when one is lost. Then the attempt is lost with it:
like any other, it goes back into the queue and on from its last checkpoint.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from service.core.records.job import StopReason
from workers.scratch import Scratch
from workers.supervisor.forkserver import PRELOAD, TrainerArgs
from workers.supervisor.trainer_log import begin
from workers.trainer.channel import Channel, die_with_supervisor
from workers.trainer.outcome import Ending, conclusion, failure, told
from workers.trainer.report_log import say
from workers.trainer.train_job import pick_device, run, understood
from workers.training.group import ProcessGroup
from workers.training.loop import TrainingResult
from workers.training.process import tune

LOOPBACK = "127.0.0.1"
NO_PORT = ("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")  # the launcher would listen on one, on every interface
FIRST_TO_FAIL_SECONDS = 1.0  # a process whose peer is gone fails as well; the launcher must find the peer first
# Seconds until those that are left are killed: ours ignore SIGTERM. Older releases of torch wait for 30.
SHUTDOWN = ("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "1")
UNUSED_SIGNAL = "SIGUSR2"  # the launcher wants one to handle; those that mean something are the supervisor's

log = logging.getLogger(__name__)


def run_together(work: TrainerArgs, connection: Connection) -> None:
    """Run one job in as many processes as its spec says, and report how it ended. Nothing else is to use the connection
    meanwhile: the first process reports and listens there.
    """
    scratch, processes = Scratch(Path(work.folder)), int(str(work.spec["gpus"]))
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # what went wrong is told in our own words
    multiprocessing.set_forkserver_preload(list(PRELOAD))
    os.environ.update([SHUTDOWN, NO_PORT])
    said, saying = multiprocessing.Pipe(duplex=False)  # not a file: one that fails may do so because the disk is full
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"{work.job_id}-{work.attempt}",
        rdzv_backend="c10d",
        rdzv_endpoint=str(scratch.folder / ".launch"),
        rdzv_configs={"store_type": "file"},
        local_addr=LOOPBACK,
        max_restarts=0,
        start_method="forkserver",
        logs_specs=DefaultLogsSpecs(log_dir=str(scratch.folder / ".launcher")),
        signals_to_handle=UNUSED_SIGNAL,
    )
    try:
        ending: Ending = elastic_launch(config, _train)(work, connection, saying)[0]
    except ChildFailedError as error:
        ending = "failed", _first_failure(said, error)
    except Exception as error:
        log.exception("the launcher failed")
        ending = "failed", told(error, work)
    say(*ending)
    connection.send(ending)


def _train(work: TrainerArgs, connection: Connection, saying: Connection) -> Ending:
    """What each process runs. One that fails says why and ends, and so ends all."""
    die_with_supervisor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    scratch, rank = Scratch(Path(work.folder)), int(os.environ["RANK"])
    begin(scratch.log)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    ending = conclusion(lambda: _run_one(work, connection if rank == 0 else None, rank), work)
    kind, how = ending
    if kind == "failed":
        time.sleep(FIRST_TO_FAIL_SECONDS)
        saying.send((rank, how))  # less than a pipe takes in one piece, whoever else writes
        sys.exit(1)
    return ending


def _run_one(work: TrainerArgs, connection: Connection | None, rank: int) -> TrainingResult:
    spec = understood(work.spec)
    tune(max(1, work.threads // spec.gpus))
    device = pick_device(spec, rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    line = Channel(connection, work.held_until) if connection else None
    group = ProcessGroup(device, Path(work.folder) / ".meeting")
    log.info("%d processes train together", group.size)
    fitted = run(
        spec,
        Scratch(Path(work.folder)),
        line.report if line else lambda kind, content: None,
        line.stop_reason if line else lambda: None,
        work,
        device,
        group,
    )
    group.close()
    return fitted


def _first_failure(said: Connection, error: ChildFailedError) -> dict[str, str]:
    """What the process that failed first has said of it; one that was killed could not."""
    rank, first = error.get_first_failure()
    while said.poll():
        speaker, found = said.recv()
        if speaker == rank:
            told_by_it: dict[str, str] = found
            return told_by_it
    how = f"killed by {signal.Signals(-first.exitcode).name}" if first.exitcode < 0 else "lost without a word"
    detail = f"process {rank} of those that train the job together was {how}"
    return failure(StopReason.WORKER_LOST, "infrastructure", "trainer_lost", detail)
