"""A tuning library in a process of its own environment, which stays, so that everything is imported once."""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.benchmarks.processes import ROOT, TAIL, THEIRS, ProcessFailed

TUNERS = {
    "ray": "tests.benchmarks.peers.ray_tune",
    "optuna": "tests.benchmarks.peers.optuna_",
}


class Tuner:
    """Runs trials of a tuning library, which train with Lightning."""

    def __init__(self, module: str, data: Path) -> None:
        """`data` is the file of the digits."""
        self._module, self._data = module, str(data)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process

    def __enter__(self) -> "Tuner":
        self._process = subprocess.Popen(
            [str(THEIRS), "-m", self._module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # it ends at the end of its input
        self._errors.close()

    def jobs_a_minute(self, model: str, jobs: int, epochs: int) -> float:
        """Train this many networks, each with another seed. Raises ProcessFailed."""
        given, answers = self._process.stdin, self._process.stdout
        assert given
        assert answers
        began = time.perf_counter()
        print(json.dumps({"model": model, "jobs": jobs, "epochs": epochs, "data": self._data}), file=given, flush=True)
        for line in answers:
            if line.startswith("{"):
                return 60 * jobs / (time.perf_counter() - began)
        self._errors.seek(0)
        raise ProcessFailed(f"{self._module} ended:\n{self._errors.read()[-TAIL:]}")
