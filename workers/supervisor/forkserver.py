"""The fork server of a worker: it has imported torch, runs one thread and has never initialized CUDA.

Importing torch takes seconds; a fork takes milliseconds. torch's compiler, whose import takes as long again, is left to
the jobs that compile. This module imports none of them, so that the supervising process stays small.
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

from workers.trainer_args import TRAINER_MODULES

MEMORY = "workers.training.data.memory"
PRELOAD = ("workers.supervisor.ignore_signals", *TRAINER_MODULES)
# OpenBLAS starts its threads when it is loaded. Started before the fork, they would not exist in the children.
SINGLE_THREADED = "OPENBLAS_NUM_THREADS"
# A thread that waits for others spins for milliseconds before it sleeps, which takes time from those others where cores
# are shared. 1000 turns of the loop take some microseconds.
SPINNING, FEW_TURNS = "GOMP_SPINCOUNT", "1000"
READY_SECONDS = 300  # a cold disk can take minutes to read torch


@dataclass(frozen=True)
class ForkServerInfo:
    """What a new child of the fork server finds. Sizes are in bytes."""

    server_pid: int
    server_threads: int
    imported: tuple[str, ...]
    cuda_initialized: bool
    gpu_memory_bytes: tuple[int, ...]  # of each GPU that a trainer may use
    memory_bytes: int  # of the machine or the container


def start() -> tuple[ForkServerContext, ForkServerInfo]:
    """Start the fork server; returns once it has imported its modules and forked a first child."""
    os.environ.setdefault(SINGLE_THREADED, "1")
    os.environ.setdefault(SPINNING, FEW_TURNS)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context, inspect(context)


def inspect(context: ForkServerContext) -> ForkServerInfo:
    """Fork a child that reports what it inherited. Raises TimeoutError."""
    ours, theirs = context.Pipe()
    child = context.Process(target=_report, args=(theirs,), name="rightfit-inspect")
    child.start()
    theirs.close()
    try:
        if not ours.poll(READY_SECONDS):
            raise TimeoutError(f"the fork server was not ready within {READY_SECONDS} s")
        info: ForkServerInfo = ours.recv()
    finally:
        ours.close()
        child.kill()
        child.join()
    return info


def stop(info: ForkServerInfo) -> None:
    """Kill the fork server. Without this it ends with its worker too, but takes seconds to unload torch."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(info.server_pid, signal.SIGKILL)
        os.waitpid(info.server_pid, 0)


def _report(connection: Connection) -> None:
    torch = sys.modules.get("torch")
    is_initialized = bool(torch and torch.cuda.is_initialized())
    memory = importlib.import_module(MEMORY)
    connection.send(
        ForkServerInfo(
            server_pid=os.getppid(),
            server_threads=len(list(Path(f"/proc/{os.getppid()}/task").iterdir())),
            imported=tuple(name for name in PRELOAD if name in sys.modules),
            cuda_initialized=is_initialized,
            gpu_memory_bytes=memory.of_gpus(),
            memory_bytes=memory.of_the_machine(),
        )
    )
