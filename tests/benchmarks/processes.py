"""A module run as a process of its own: its last line, its seconds, its peak memory."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ROOT / ".venv" / "bin" / "python"
THEIRS = ROOT / ".venv-bench" / "bin" / "python"
THREADS = 2
TAIL = 3_000  # characters of a failed process's output


class ProcessFailed(Exception):
    """A process ended with an error; the message is the end of its output."""


@dataclass(frozen=True)
class Measured:
    """`peak_bytes` is the most memory that was resident (maximum RSS), libraries included."""

    line: dict[str, Any]
    seconds: float
    peak_bytes: int


def measure(python: Path, module: str, words: Sequence[str], threads: int = THREADS) -> Measured:
    """Run a module whose last line of output, if it has any, is JSON. Raises ProcessFailed.

    The caller should be small: Linux counts what a parent holds when it forks as the child's peak.
    """
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen([str(python), "-m", module, *words], cwd=ROOT, env=env, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise ProcessFailed(f"{module} ended with status {process.returncode}:\n{errors.read()[-TAIL:]}")
        lines = output.read().splitlines()
        line = json.loads(lines[-1]) if lines else {}
    return Measured(line, seconds, usage.ru_maxrss * 1024)
