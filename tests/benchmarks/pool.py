"""A pool of warm processes that run the article's loop with one thread each, by joblib, for many small trainings."""

import tempfile
import time
from pathlib import Path
from types import TracebackType

import torch
from sklearn.utils.parallel import Parallel, delayed

from tests.benchmarks.job import load
from tests.benchmarks.peers.article import train
from tests.benchmarks.small_jobs import BATCH_SIZE, NETWORKS


class Pool:
    """As many processes as cores. They stay, so that torch is imported once."""

    def __init__(self, data: Path, processes: int) -> None:
        """`data` is the file of the digits."""
        self._data, self._parallel = data, Parallel(processes)

    def __enter__(self) -> "Pool":
        self._parallel.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parallel.__exit__(kind, error, trace)

    def jobs_a_minute(self, model: str, jobs: int, epochs: int) -> float:
        """Train this many networks, each with another seed."""
        began = time.perf_counter()
        self._parallel(delayed(_train)(self._data, model, epochs, seed) for seed in range(jobs))
        return 60 * jobs / (time.perf_counter() - began)


def _train(data: Path, model: str, epochs: int, seed: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as folder:
        train(load(data), NETWORKS[model](), torch.device("cpu"), BATCH_SIZE, epochs, Path(folder))
