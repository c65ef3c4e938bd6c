"""What the tuning libraries share: a trial trains with Lightning, and a process that stays runs many at a request."""

import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pytorch_lightning import seed_everything

from tests.benchmarks.job import load
from tests.benchmarks.peers.lightning_ import train
from tests.benchmarks.small_jobs import BATCH_SIZE, NETWORKS


@dataclass(frozen=True)
class Trials:
    """`jobs` trainings of the network `model` for so many epochs, each with another seed, on the images in `data`."""

    model: str
    jobs: int
    epochs: int
    data: str

    def train(self, seed: int) -> float:
        """Train once with one thread, since the other core is for another trial; returns the least validation loss."""
        quiet()
        torch.set_num_threads(1)
        seed_everything(seed, verbose=False)
        with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as folder:
            record = train(load(Path(self.data)), NETWORKS[self.model](), BATCH_SIZE, self.epochs, Path(folder))
        return min(record.val_losses)


def answer(run: Callable[[Trials], None]) -> None:
    """Run the trials of each line of standard input, and print a line once all have ended."""
    quiet()
    for line in sys.stdin:
        run(Trials(**json.loads(line)))
        print(json.dumps({"done": True}), flush=True)


def quiet() -> None:
    """Keep Lightning from writing what it would write for each training."""
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
