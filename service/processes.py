"""Child processes of the one-machine stack: started on a lifeline, their words kept in a log, ended in good order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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
                [sys.executable, "-m", "service.lifeline", str(os.getpid()), *command],
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
        """SIGTERM, and SIGKILL to whatever of it is left after so many seconds."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])


def wait_until(ready: Callable[[], bool], parts: Sequence[Part], seconds: float, what: str) -> None:
    """Poll `ready()` while every part lives. Raises PartDied, also when time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        for part in parts:
            part.check()
        if time.monotonic() > deadline:
            logs = f"; see {parts[-1].log}" if parts else ""
            raise PartDied(f"{what} was not ready within {seconds:g} s{logs}")
        time.sleep(0.05)
