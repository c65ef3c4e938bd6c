"""A group of processes that train one job, started by torch's elastic launcher. The first process has the channel.

The launcher gives each process its rank and ends all of them when one is lost. Then the attempt is lost: it goes back
into the queue and continues from its last checkpoint, as any other attempt.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from service.core.records.job import Failure, StopReason
from workers.messages import Ended, Ending, Failed, Released
from workers.scratch import Scratch
from workers.trainer.channel import Channel, SupervisorChannel, die_with_supervisor
from workers.trainer.outcome import failed, how_it_ended
from workers.trainer.report_log import log_report
from workers.trainer.stdout_to_log import redirect_output
from workers.trainer.train_job import train_job
from workers.trainer.training_process import TrainingProcess, pick_device, read_spec
from workers.trainer_args import TRAINER_MODULES, TrainerArgs
from workers.training.loop import TrainingResult
from workers.training.process import tune
from workers.training.process_group import ProcessGroup

LOOPBACK = "127.0.0.1"
NO_PORT = ("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")  # the launcher would listen on one, on every interface
FIRST_TO_FAIL_SECONDS = 1.0  # a process whose peer is lost fails as well; the launcher must see the lost peer first
# Seconds until the launcher kills the remaining processes, which ignore SIGTERM. Older releases of torch wait for 30.
SHUTDOWN = ("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "1")
UNUSED_SIGNAL = "SIGUSR2"  # the launcher needs a signal to handle; the supervisor uses the common ones

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProcessFailure:
    """The process of this rank has failed. Pickled it is smaller than a pipe writes in one piece (4096 bytes)."""

    rank: int
    report: Failed


def train_distributed(args: TrainerArgs, connection: Connection) -> None:
    """Train one job in as many processes as its spec asks for, and report how the run ended.

    Meanwhile only the first process uses the connection.
    """
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the report of the failed process says more
    multiprocessing.set_forkserver_preload([*TRAINER_MODULES, __name__])
    os.environ.update([SHUTDOWN, NO_PORT])
    # A pipe and not a file: a process may fail because the disk is full.
    failures, failing = multiprocessing.Pipe(duplex=False)
    ending: Ending
    try:
        ending = elastic_launch(_launch_config(args), _train_rank)(args, connection, failing)[0]
    except ChildFailedError as error:
        ending = _first_failure(failures, error)
    except Exception as error:  # noqa: BLE001 - the report says what it was
        ending = failed(error, args)
    log_report(ending)
    connection.send([ending])


def _launch_config(args: TrainerArgs) -> LaunchConfig:
    folder = Path(args.folder)
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=int(str(args.spec["gpus"])),
        run_id=f"{args.job_id}-{args.attempt}",
        rdzv_backend="c10d",
        rdzv_endpoint=str(folder / ".launch"),
        rdzv_configs={"store_type": "file"},
        local_addr=LOOPBACK,
        max_restarts=0,
        start_method="forkserver",
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / ".launcher")),
        signals_to_handle=UNUSED_SIGNAL,
    )


def _train_rank(args: TrainerArgs, connection: Connection, failing: Connection) -> Ended | Released:
    """The entry of each process. One that fails sends its report and exits, and so ends the group."""
    die_with_supervisor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rank = int(os.environ["RANK"])
    redirect_output(Scratch(Path(args.folder)).log)
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    try:
        return how_it_ended(
            _train(args, SupervisorChannel(connection, args.held_until) if rank == 0 else Channel(), rank)
        )
    except Exception as error:  # noqa: BLE001 - the report says what it was
        report = failed(error, args)
    time.sleep(FIRST_TO_FAIL_SECONDS)
    failing.send(ProcessFailure(rank, report))
    sys.exit(1)


def _train(args: TrainerArgs, channel: Channel, rank: int) -> TrainingResult:
    spec = read_spec(args.spec)
    tune(max(1, args.threads // spec.gpus))
    device = pick_device(spec, rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    group = ProcessGroup(device, Path(args.folder) / ".meeting")
    log.info("%d processes train together", group.size)
    fitted = train_job(TrainingProcess(args, spec, channel, device, group))
    group.close()
    return fitted


def _first_failure(failures: Connection, error: ChildFailedError) -> Failed:
    """The report of the process that failed first; a process that was killed has sent none."""
    rank, first = error.get_first_failure()
    while failures.poll():
        failure: ProcessFailure = failures.recv()
        if failure.rank == rank:
            return failure.report
    how = f"killed by {signal.Signals(-first.exitcode).name}" if first.exitcode < 0 else "lost without a report"
    detail = f"process {rank} of those that train the job together was {how}"
    return Failed(StopReason.WORKER_LOST, Failure("infrastructure", "trainer_lost", detail))
