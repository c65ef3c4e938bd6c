"""How near the engine comes to the limit of the machine: `python -m tests.benchmarks.limit --data FILE`.

The limit is the peak of large matrix products. torch counts the operations of the job cnn: a multiplication with its
addition are two. An epoch cannot be shorter than its operations at that peak. Scores are computed in fp32, so a part of
the epoch has the peak of fp32 in both precisions.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.rightfit import images_of, job_spec, network_of, parts_of
from workers.training.loop import fit
from workers.training.precision import Precision
from workers.training.process import tune
from workers.training.state import EpochResult

SIDE = 2048  # of the matrices
SECONDS = 1.0  # of products that are measured
BATCH_SIZES = (64, 256)
TYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def peak(dtype: torch.dtype) -> float:
    """Operations a second of products of large matrices, at the best of some seconds."""
    left, right = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    times, over = list[float](), time.perf_counter() + SECONDS
    while time.perf_counter() < over or not times[1:]:
        started = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(times)


def operations(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Operations of an image in a training step, and in a score."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    with FlopCounterMode(display=False) as training:
        F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    with FlopCounterMode(display=False) as scoring, torch.no_grad():
        model(images)
    return training.get_total_flops() / len(images), scoring.get_total_flops() / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the file of the job cnn")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    tune(torch.get_num_threads())
    print(json.dumps(measured(given.data, given.epochs)))


def measured(path: Path, epochs: int) -> dict[str, Any]:
    """The peaks, the operations, and the share of the limit that epochs reach."""
    images, split = images_of(path)
    parts = parts_of(images, split)
    pixels, _ = next(iter(parts.train.in_order(BATCH_SIZES[0])))
    training, scoring = operations(network_of(job_spec("cnn", BATCH_SIZES[0], epochs, seed=0), images), pixels)
    peaks = {name: peak(dtype) for name, dtype in TYPES.items()}
    scored = len(split.validation) / len(split.train)
    rows = []
    for batch_size in BATCH_SIZES:
        for name in TYPES:
            spec = replace(job_spec("cnn", batch_size, epochs, seed=0), precision=name)
            seconds = list[float]()

            def note(result: EpochResult, seconds: list[float] = seconds) -> None:
                seconds.append(result.seconds)

            fit(network_of(spec, images), parts, spec, on_epoch=note)
            rate = len(split.train) / statistics.median(seconds[1:])
            limit = 1 / (training / peaks[name] + scored * scoring / peaks["fp32"])
            rows.append({"batch_size": batch_size, "precision": name, "images_per_second": rate, "limit": limit})
    return {"training": training, "scoring": scoring, "peaks": peaks, "rows": rows}


if __name__ == "__main__":
    main()
