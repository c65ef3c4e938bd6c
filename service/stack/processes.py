"""Child processes of the one-machine stack: started on a lifeline, their words kept in a log, ended in good order."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from service.core.errors import RightfitError

TAIL_LINES = 15


class PartDied(RightfitError):
    """A part of the stack ended by itself, or would not start."""

    code = "part_died"


class Part:
    """One child process, in a session of its own so that a Ctrl-C reaches only its parent."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.stack.lifeline", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env={**os.environ, **env},
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise PartDied, with the end of its log, unless it runs."""
        code = self._process.poll()
        if code is not None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise PartDied(f"{self.name} {how}. The end of {self.log}:\n{self._tail()}")

    def stop(self, seconds: float) -> None:
        """SIGTERM, and after its end, or after so many seconds, SIGKILL to whatever is left of its process group."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])


class Interrupted(RightfitError):
    """The stack was told to stop while it was starting."""


class StopSign:
    """Set by a signal handler, waited for by the code that it interrupts: a `threading.Event` would now and then hang,
    since its `set` takes a lock that the `wait` below it may hold. `SimpleQueue.put` is reentrant.
    """

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()

    def set(self, *_: object) -> None:
        """Takes what a signal handler is given."""
        self._told.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait up to so long; returns whether it is set. For one thread only."""
        try:
            self._told.get(timeout=seconds)
        except Empty:
            return False
        self.set()  # and so it stays
        return True


def wait_until(
    ready: Callable[[], bool], parts: Sequence[Part], seconds: float, what: str, interrupted: StopSign
) -> None:
    """Poll `ready()` while every part lives. Raises PartDied, also when time is up, and Interrupted."""
    deadline = time.monotonic() + seconds
    while not ready():
        for part in parts:
            part.check()
        if time.monotonic() > deadline:
            raise PartDied(f"{what} was not ready within {seconds:g} s")
        if interrupted.wait(0.05):
            raise Interrupted
