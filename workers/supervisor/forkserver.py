"""The warm server that trainers are forked from: it has torch imported, runs one thread and has never touched CUDA.

Importing torch and what its first optimizer pulls in takes seconds; a fork takes milliseconds. This module itself
imports neither: the supervisor stays small, and what is heavy lives in the server and its children.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

TRAINER = "workers.trainer.main"
MEMORY = "workers.training.data.memory"
PRELOAD = (
    "workers.supervisor.ignore_signals",
    TRAINER,
    "sklearn.datasets",  # the digits
    "torch._dynamo",  # the first optimizer of a process imports it
    "torch.onnx._internal.torchscript_exporter.utils",  # what writes model.onnx
)
# OpenBLAS starts its threads when it is loaded; made before the fork they would be dead weight in every child.
SINGLE_THREADED = "OPENBLAS_NUM_THREADS"
# A thread that waits for the others spins for milliseconds before it sleeps; where cores are shared, that is time taken
# from those that it waits for. So many turns of the loop are some microseconds.
SPINNING, FEW_TURNS = "GOMP_SPINCOUNT", "1000"
RELEASED = "released"  # the stop reason of a run that will be taken up again
READY_SECONDS = 300  # a cold disk can take minutes to read torch


@dataclass(frozen=True)
class TrainerArgs:
    """What a trainer process is given: plain data only. `held_until` is when its supervisor's lease runs out, on the
    machine's monotonic clock.
    """

    job_id: str
    attempt: int
    worker: str
    spec: dict[str, object]
    folder: str
    threads: int
    held_until: float
    checkpoint_seconds: float
    resident_bytes: int | None = None
    pack: str | None = None
    library: str = "."


@dataclass(frozen=True)
class ForkServerInfo:
    """What a fresh child of the server found."""

    server_pid: int
    server_threads: int
    imported: tuple[str, ...]
    cuda_initialized: bool
    gpu_memory_bytes: tuple[int, ...]  # of each GPU that a trainer may use
    memory_bytes: int  # of the machine or the container


def start() -> tuple[ForkServerContext, ForkServerInfo]:
    """Start the server; returns once it has imported everything and forked a first child."""
    os.environ.setdefault(SINGLE_THREADED, "1")
    os.environ.setdefault(SPINNING, FEW_TURNS)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context, look(context)


def look(context: ForkServerContext) -> ForkServerInfo:
    """Fork a child that tells what it inherited."""
    ours, theirs = context.Pipe()
    child = context.Process(target=_tell, args=(theirs,), name="rightfit-look")
    child.start()
    theirs.close()
    try:
        if not ours.poll(READY_SECONDS):
            raise TimeoutError(f"the warm server was not ready within {READY_SECONDS} s")
        warmth: ForkServerInfo = ours.recv()
    finally:
        ours.close()
        child.kill()
        child.join()
    return warmth


def stop(warmth: ForkServerInfo) -> None:
    """End the server at once. Left alone it ends with its worker too, but takes seconds to take torch down."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(warmth.server_pid, signal.SIGKILL)
        os.waitpid(warmth.server_pid, 0)


def run_trainer(work: TrainerArgs, connection: Connection) -> None:
    """The entry of a trainer process; the module is there already."""
    importlib.import_module(TRAINER).main(work, connection)


def _tell(connection: Connection) -> None:
    torch = sys.modules.get("torch")
    was_initialized = bool(torch and torch.cuda.is_initialized())
    memory = importlib.import_module(MEMORY)
    connection.send(
        ForkServerInfo(
            server_pid=os.getppid(),
            server_threads=len(list(Path(f"/proc/{os.getppid()}/task").iterdir())),
            imported=tuple(name for name in PRELOAD if name in sys.modules),
            cuda_initialized=was_initialized,
            gpu_memory_bytes=memory.of_gpus(),
            memory_bytes=memory.of_the_machine(),
        )
    )
