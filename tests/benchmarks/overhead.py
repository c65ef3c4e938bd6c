"""The cost of the engine compared with the bare loop: the same network, in one process, an epoch of each in turn."""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from tests.benchmarks.job import device, load
from tests.benchmarks.peers.bare import Resident, adam, score, train_epoch
from tests.benchmarks.rightfit import images_of, job_spec, network_of, parts_of
from workers.training.loop import fit
from workers.training.state import EpochResult


def compare(job: str, path: Path, batch_size: int, epochs: int) -> dict[str, float]:
    """Milliseconds of the median epoch of each, the first pair left out, and the median of the ratios pair by pair."""
    images, split = images_of(path)
    spec = job_spec(job, batch_size, epochs, seed=0)
    data = Resident(load(path), device())
    model = network_of(spec, images)
    optimizer = adam(model)
    ours: list[float] = []
    theirs: list[float] = []

    def bare_epoch(result: EpochResult) -> None:
        ours.append(result.seconds)
        started = time.perf_counter()
        total = train_epoch(model, optimizer, data, batch_size)
        torch.cat([total[None], score(model, data)]).tolist()
        theirs.append(time.perf_counter() - started)

    fit(network_of(spec, images), parts_of(images, split), spec, on_epoch=bare_epoch)
    pairs = list(zip(ours, theirs, strict=True))[1:]
    return {
        "engine_ms": 1e3 * statistics.median(our for our, _ in pairs),
        "bare_ms": 1e3 * statistics.median(their for _, their in pairs),
        "ratio": statistics.median(our / their for our, their in pairs),
        "least_ratio": min(our / their for our, their in pairs),
        "most_ratio": max(our / their for our, their in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", choices=("cnn", "digits"), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(compare(given.job, given.data, given.batch_size, given.epochs)))


if __name__ == "__main__":
    main()
