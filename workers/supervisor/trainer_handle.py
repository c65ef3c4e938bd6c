"""One trainer process as its supervisor sees it: what it reports, what it is told, and how it ended."""

import logging
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from service.core.records.job import Failure, Outcome, Phase, Status, StopReason
from workers.supervisor.forkserver import RELEASED

log = logging.getLogger(__name__)


@dataclass
class TrainerHandle:
    """One trainer process and what it has reported."""

    process: Any
    connection: Connection
    last_word: tuple[str, dict[str, Any]] | None = None
    told_to_stop: str | None = None
    kill_at: float = field(default=float("inf"))
    is_silent: bool = False
    phase: Phase = Phase.PREPARING
    steps: int = 0
    advanced: float = field(default_factory=time.monotonic)
    has_stalled: bool = False
    held_until: float = 0.0

    def reports(self) -> list[tuple[str, dict[str, Any]]]:
        """What has arrived since the last look. After the trainer closed its end, the run is silent."""
        arrived = []
        try:
            while not self.is_silent and self.connection.poll():
                arrived.append(self.connection.recv())
        except (EOFError, OSError):
            self.is_silent = True
        return arrived

    def tell(self, reason: str, kill_after: float) -> None:
        """Ask the trainer, once, to stop at the next batch; it will be killed if it has not in so many seconds."""
        if self.told_to_stop is None:
            self.told_to_stop, self.kill_at = reason, time.monotonic() + kill_after
            self._send("stop", reason)

    def extend(self, until: float) -> None:
        """Tell the trainer how long our lease lasts: it ends itself then, should we be frozen and not end it."""
        if until != self.held_until:
            self.held_until = until
            self._send("held_until", until)

    def is_stalled(self, seconds: float) -> bool:
        """Whether it has not trained a batch for so long, while that is what it should do."""
        return self.phase is Phase.TRAINING and time.monotonic() - self.advanced > seconds

    def advance(self, steps: int) -> None:
        """It has trained so many batches by now."""
        if steps != self.steps:
            self.steps, self.advanced = steps, time.monotonic()

    def enter(self, phase: Phase) -> None:
        self.phase, self.advanced = phase, time.monotonic()

    @property
    def was_interrupted(self) -> bool:
        """Whether the run ended because it was told to let go of the job, and not by itself or for good."""
        if self.last_word is None:
            return self.told_to_stop == RELEASED
        return bool(self.last_word[1]["stop_reason"] == RELEASED)

    def outcome(self, stall_seconds: float) -> Outcome:
        """How a run that has ended did so."""
        if self.last_word is None:
            if self.told_to_stop == StopReason.CANCELLED:
                return Outcome(Status.CANCELLED, StopReason.CANCELLED)
            if self.has_stalled:
                failure = Failure("infrastructure", "stalled", f"the trainer trained no batch for {stall_seconds:g} s")
            else:
                failure = Failure("infrastructure", "trainer_lost", _how_it_died(self.process.exitcode))
            return Outcome(Status.FAILED, StopReason.WORKER_LOST, failure)
        kind, said = self.last_word
        reason = StopReason(said["stop_reason"])
        if kind == "failed":
            return Outcome(Status.FAILED, reason, Failure(said["origin"], said["code"], said["detail"]))
        if reason is StopReason.CANCELLED:
            return Outcome(Status.CANCELLED, reason)
        if reason is StopReason.DIVERGED:
            best = said["best_epoch"]
            kept = f"the model of epoch {best} was kept" if best else "no model was good enough to keep"
            detail = f"the loss diverged in epoch {said['epochs']}; {kept}; try a lower lr"
            return Outcome(Status.FAILED, reason, Failure("user", "diverged", detail))
        return Outcome(Status.SUCCEEDED, reason)

    def _send(self, kind: str, content: object) -> None:
        try:
            self.connection.send((kind, content))
        except OSError:  # it is gone already; its end is seen by the caller
            log.debug("the trainer ended before it could be told of %s", kind)


def _how_it_died(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the trainer process ended without a word, exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    hint = ", as when the machine's memory runs out (a smaller batch_size or model may help)"
    return f"the trainer process was killed by {name}{hint if name == 'SIGKILL' else ''}"
