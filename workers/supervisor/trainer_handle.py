"""A trainer process as its supervisor sees it: the messages to and from it, and how it ended."""

import logging
import pkgutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from service.core.records.job import Failure, Outcome, Phase, Status, StopReason
from workers.messages import Ended, Ending, Failed, LeaseExtended, Order, Released, Report, Stop
from workers.trainer_args import StopRequest, TrainerArgs

TRAINER = "workers.trainer.main:main"
EXIT_SECONDS = 10.0  # for a trainer to exit after its last report

# multiprocessing looks at all children when it starts one, and two threads must not collect the same exit code.
_CHILDREN = threading.Lock()

log = logging.getLogger(__name__)


class ImportedByName:
    """Pickled in place of a function: the process that unpickles it imports the function, this process does not."""

    def __init__(self, name: str) -> None:
        """`name` is `module:function`."""
        self._name = name

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return pkgutil.resolve_name, (self._name,)

    def __call__(self, *_: object) -> None:
        raise NotImplementedError(f"{self._name} runs in the child process only")


@dataclass
class TrainerHandle:
    """One trainer process and what it has reported. Times are of the monotonic clock."""

    process: ForkServerProcess
    connection: Connection
    held_until: float
    ending: Ending | None = None
    stop_request: StopRequest | None = None
    kill_at: float = float("inf")
    is_silent: bool = False
    has_stalled: bool = False
    phase: Phase = Phase.PREPARING
    steps: int = 0
    progressed_at: float = field(default_factory=time.monotonic)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        with _CHILDREN:
            return self.process.is_alive()

    def receive(self) -> list[Report]:
        """The reports that have arrived. Once the trainer has closed its end, the handle is silent."""
        arrived: list[Report] = []
        try:
            while not self.is_silent and self.connection.poll():
                arrived += self.connection.recv()
        except (EOFError, OSError):
            self.is_silent = True
        return arrived

    def stop(self, request: StopRequest, kill_after: float) -> None:
        """Ask the trainer, once, to stop before its next batch. After `kill_after` seconds it is killed."""
        if self.stop_request is None:
            self.stop_request, self.kill_at = request, time.monotonic() + kill_after
            self._send(Stop(request))

    def extend_lease(self, until: float) -> None:
        """Pass on the end of the lease: the trainer exits then, if this process is frozen and cannot kill it."""
        if until != self.held_until:
            self.held_until = until
            self._send(LeaseExtended(until))

    def is_stalled(self, seconds: float) -> bool:
        """Whether the trainer is in its training phase and has trained no batch for so long."""
        return self.phase is Phase.TRAINING and time.monotonic() - self.progressed_at > seconds

    def set_steps(self, steps: int) -> None:
        if steps != self.steps:
            self.steps, self.progressed_at = steps, time.monotonic()

    def set_phase(self, phase: Phase) -> None:
        self.phase, self.progressed_at = phase, time.monotonic()

    def set_ending(self, ending: Ending) -> None:
        self.ending = ending
        self.kill_at = min(self.kill_at, time.monotonic() + EXIT_SECONDS)

    @property
    def was_released(self) -> bool:
        """Whether the run stopped because the job is paused or goes to another worker."""
        if self.ending is None:
            return self.stop_request is StopRequest.RELEASED
        return isinstance(self.ending, Released)

    def outcome(self, stall_seconds: float) -> Outcome:
        """How a run has ended that was not released."""
        match self.ending:
            case Ended():
                return _outcome(self.ending)
            case Failed(stop_reason, failure):
                return Outcome(Status.FAILED, stop_reason, failure)
        if self.stop_request is StopRequest.CANCELLED:
            return Outcome(Status.CANCELLED, StopReason.CANCELLED)
        if self.has_stalled:
            failure = Failure("infrastructure", "stalled", f"the trainer trained no batch for {stall_seconds:g} s")
        else:
            failure = Failure("infrastructure", "trainer_lost", _how_it_died(self.process.exitcode or 0))
        return Outcome(Status.FAILED, StopReason.WORKER_LOST, failure)

    def close(self) -> None:
        """Kill the process, if it still runs, and wait for its end."""
        self.process.kill()
        wait([self.process.sentinel])
        with _CHILDREN:
            self.process.join()
        self.connection.close()

    def _send(self, order: Order) -> None:
        try:
            self.connection.send(order)
        except OSError:  # the supervisor sees the end of the process next
            log.debug("the trainer ended before it received %s", order)


def start_trainer(context: ForkServerContext, args: TrainerArgs) -> TrainerHandle:
    """Fork a trainer process from the fork server."""
    ours, theirs = context.Pipe()
    entry = ImportedByName(TRAINER)
    process = context.Process(target=entry, args=(args, theirs), name=f"trainer-{args.job_id}")
    with _CHILDREN:
        process.start()
    theirs.close()
    return TrainerHandle(process, ours, args.held_until)


def _outcome(ended: Ended) -> Outcome:
    if ended.stop_reason is StopReason.CANCELLED:
        return Outcome(Status.CANCELLED, ended.stop_reason)
    if ended.stop_reason is not StopReason.DIVERGED:
        return Outcome(Status.SUCCEEDED, ended.stop_reason)
    best = ended.best_epoch
    kept = f"the model of epoch {best} was kept" if best else "no model was good enough to keep"
    detail = f"the loss diverged in epoch {ended.broken_at or ended.epochs}; {kept}; try a lower lr"
    return Outcome(Status.FAILED, ended.stop_reason, Failure("user", "diverged", detail))


def _how_it_died(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the trainer process ended without a report, exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    hint = ", as when the machine's memory runs out (a smaller batch_size or model may help)"
    return f"the trainer process was killed by {name}{hint if name == 'SIGKILL' else ''}"
