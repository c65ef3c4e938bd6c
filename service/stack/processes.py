"""Child processes of the one-machine stack: each ends with its parent and writes its output to a log file."""

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
    """A part of the stack ended unexpectedly or did not start."""

    code = "part_died"


class Part:
    """One child process, in its own session, so that Ctrl-C reaches only its parent."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.stack.lifeline", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **env},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def death(self) -> str | None:
        """How the process ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def stop(self, seconds: float) -> None:
        """Send SIGTERM, wait up to `seconds`, then send SIGKILL to the rest of the process group."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])


class Interrupted(RightfitError):
    """The stack was stopped while it was starting."""


class StopSign:
    """An event that a signal handler sets and the interrupted code waits for.

    `threading.Event` can hang here: its `set` takes a lock that the interrupted `wait` may hold. `SimpleQueue.put` is
    reentrant.
    """

    def __init__(self) -> None:
        self._signals: SimpleQueue[None] = SimpleQueue()

    def set(self, *_: object) -> None:
        """Set the event; the arguments are those of a signal handler."""
        self._signals.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`. Returns whether the event is set. For one thread only."""
        try:
            self._signals.get(timeout=seconds)
        except Empty:
            return False
        self.set()  # it stays set
        return True


def wait_until(ready: Callable[[], bool], seconds: float, name: str, interrupted: StopSign) -> None:
    """Poll `ready()`. Raises PartDied after `seconds`, and Interrupted."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise PartDied(f"{name} was not ready within {seconds:g} s")
        if interrupted.wait(0.05):
            raise Interrupted
