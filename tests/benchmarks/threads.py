"""`python -m tests.benchmarks.threads`: how much faster networks of several sizes train with two threads than with one.

The source of LARGE in service/core/records/plan.py.
"""

import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from statistics import quantiles
from typing import Any

import torch

from service.core.spec import JobSpec, layers_of
from service.core.spec.shapes import place
from tests.workers.training.small import network, training_data
from workers.training.loop import fit
from workers.training.process import tune

ROUNDS = 8
QUICKEST = 10  # the time that one step in so many stays below
LIMIT = 1_400  # training images of a run


def _cnn(*channels: int, hidden: int = 128) -> dict[str, Any]:
    return {"arch": "cnn", "channels": list(channels), "hidden": [hidden]}


def _mlp(*hidden: int) -> dict[str, Any]:
    return {"arch": "mlp", "hidden": list(hidden)}


CASES: tuple[tuple[dict[str, Any], int, int], ...] = (  # the model, the side of the images, the size of a batch
    (_mlp(64), 8, 64),
    (_mlp(256, 128), 8, 64),
    (_mlp(256, 128), 28, 64),
    (_mlp(1024, 1024), 28, 64),
    (_mlp(2048, 2048), 28, 256),
    (_cnn(16, 32), 8, 64),
    (_cnn(32, 64), 8, 64),
    (_cnn(32, 64), 16, 64),
    (_cnn(16, 32), 28, 64),
    (_cnn(32, 64), 28, 32),
    (_cnn(32, 64, 128), 28, 64),
    (_cnn(64, 128, 256), 28, 64),
)


def main() -> None:
    print(f"{'multiplications a step':>24} {'1 thread':>10} {'2 threads':>10} {'gain':>6}")
    for row in sorted(_measured()):
        print("{:>24,} {:>7.2f} ms {:>7.2f} ms {:>6.2f}  {}".format(*row))


def _measured() -> Iterator[tuple[int, float, float, float, str]]:
    for model, side, batch_size in CASES:
        given = JobSpec.from_dict(
            {
                "dataset": {"id": "digits", "image_size": side, "train_limit": LIMIT},
                "model": model,
                "batch_size": batch_size,
                "epochs": 1,
                "device": "cpu",
                "train_loss_clean": False,
            }
        ).filled(1)
        placed = place(layers_of(given) or (), (1, side, side), 10, "/model")
        work = sum(layer.multiplications for layer in placed) * batch_size
        one, two = _seconds_a_step(given)
        yield work, 1e3 * one, 1e3 * two, one / two, f"{model} {side}x{side}, batch {batch_size}"


def _seconds_a_step(given: JobSpec) -> tuple[float, float]:
    """With one and with two threads: the quickest steps, those that nothing else on the machine delays."""
    data, steps = training_data(given), (list[float](), list[float]())
    for _ in range(ROUNDS):
        for threads, seconds in enumerate(steps, start=1):
            torch.set_num_threads(threads)
            begun = list[float]()
            fit(network(given), data, given, lambda result: None, should_stop=partial(_note, begun))
            seconds += [after - before for before, after in pairwise(begun)]
    one, two = (quantiles(seconds, n=QUICKEST)[0] for seconds in steps)
    return one, two


def _note(begun: list[float]) -> None:
    begun.append(time.perf_counter())


if __name__ == "__main__":
    tune(2)
    main()
