"""Keeps one part of the stack running: starts it again when it dies, and gives up after several deaths in a row."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from service.core.errors import DatabaseError
from service.stack.processes import Part, PartDied
from service.stack.state import PartState, State

FAILED_STARTS = 5  # deaths in a row before the part is ready; then it is given up
MOST_DEATHS = 10  # deaths in a row before the part is steady; likewise
STEADY_SECONDS = 10.0  # a part that was ready for this long is steady
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds before a restart; doubled with each death in a row


def _nothing(_: int) -> None:
    pass


@dataclass(frozen=True)
class Plan:
    """How a part is run. The functions get its process id; they may raise DatabaseError."""

    name: str
    command: Sequence[str]
    stop_seconds: float  # from SIGTERM to SIGKILL
    is_ready: Callable[[int], bool]
    after_death: Callable[[int], object] = _nothing
    after_restart: Callable[[int], object] = _nothing  # when it is ready again


class Keeper:
    """A part that runs from the construction on.

    The thread that constructs it must also call `check`, and live as long as the part: the part ends with the thread.
    """

    def __init__(self, plan: Plan, log: Path, env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.plan, self.state = plan, PartState()
        self.log, self._env, self._say = log, env, say
        self._part = Part(plan.name, plan.command, log, env)
        self._ready_at: float | None = None
        self._deaths = self._failed_starts = 0  # in a row
        self._again_at = 0.0  # time.monotonic

    def is_ready(self) -> bool:
        """Whether the part is ready. Raises PartDied if it has died: at the first start, nothing is repeated."""
        if death := self._part.death():
            raise PartDied(f"{self.plan.name} {death}. {self._end_of_log()}")
        return self._ready_at is not None or self._becomes_ready()

    def check(self) -> None:
        """Notice a death, and start the part again when it is time. Raises PartDied after several deaths in a row."""
        if self.state.state is State.DEAD:
            if time.monotonic() >= self._again_at:
                self._start_again()
        elif death := self._part.death():
            self._bury(death)
        elif self._ready_at is None and self._becomes_ready():
            self._tell(f"{self.plan.name} is running again")
            _try(self.plan.after_restart, self._part.pid)

    def stop(self) -> None:
        """End the part."""
        self._part.stop(self.plan.stop_seconds)

    def _becomes_ready(self) -> bool:
        try:
            if not self.plan.is_ready(self._part.pid):
                return False
        except DatabaseError:
            return False
        self._ready_at = time.monotonic()
        self.state = replace(self.state, state=State.RUNNING)
        return True

    def _bury(self, death: str) -> None:
        is_steady = self._ready_at is not None and time.monotonic() - self._ready_at >= STEADY_SECONDS
        self._deaths = 1 if is_steady else self._deaths + 1
        self._failed_starts = self._failed_starts + 1 if self._ready_at is None else 0
        self._part.stop(0)  # the rest of its processes
        _try(self.plan.after_death, self._part.pid)
        if self._failed_starts >= FAILED_STARTS or self._deaths >= MOST_DEATHS:
            raise PartDied(f"{self.plan.name} {death}, death {self._deaths} in a row. {self._end_of_log()}")
        pause = min(FIRST_PAUSE * 2 ** (self._deaths - 1), LONGEST_PAUSE)
        self._again_at = time.monotonic() + pause
        self.state = replace(self.state, state=State.DEAD, last_death=death, died_at=time.time())
        self._tell(f"{self.plan.name} {death}, death {self._deaths} in a row; it starts again in {pause:g} s")

    def _start_again(self) -> None:
        self._ready_at = None
        try:
            self._part = Part(self.plan.name, self.plan.command, self.log, self._env)
        except OSError as error:  # no memory for another process, for example
            self._bury(f"did not start: {error.strerror}")
            return
        self.state = replace(self.state, state=State.STARTING, restarts=self.state.restarts + 1)

    def _tell(self, words: str) -> None:
        """Say it on the terminal and in the log of the part."""
        self._say(words)
        with suppress(OSError), self.log.open("a") as log:  # the disk may be full
            log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} [rightfit] {words}\n")

    def _end_of_log(self) -> str:
        return f"The end of {self.log}:\n{self._part.tail()}"


def _try(action: Callable[[int], object], pid: int) -> None:
    """Without the database, leases run out and hints are repeated: it only takes longer."""
    try:
        action(pid)
    except DatabaseError:
        return
