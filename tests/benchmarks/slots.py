"""Jobs a minute of one worker with one slot and with as many slots as cores, of a pool of processes that run the
article's loop, and of tuning libraries with Lightning: `python -m tests.benchmarks.slots`.

Small jobs on the digits are submitted all at once to one after the other, in turn, so that what else runs on the
machine slows all. The time is that from the first POST to the end of the last job.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from service.client import Rightfit
from service.core.settings import Settings
from service.stack.standalone import Stack
from tests.benchmarks.data import make
from tests.benchmarks.pool import Pool
from tests.benchmarks.tuners import TUNERS, Tuner

Json = dict[str, Any]

MODELS: dict[str, Json] = {
    "cnn": {"arch": "cnn", "channels": [32, 64], "hidden": [128]},
    "mlp": {"arch": "mlp", "hidden": [64]},
}
# A job that gains from all cores: 28 pixels a side and three blocks.
LARGE: Json = {"dataset": {"id": "digits", "image_size": 28}, "model": {"arch": "cnn", "channels": [32, 64, 128]}}
OURS, POOL = "slots", "pool"
SLOTS = {"one slot": 1, OURS: None}


def jobs_a_minute(client: Rightfit, model: str, jobs: int, epochs: int) -> float:
    job = {"dataset": {"id": "digits"}, "model": MODELS[model]}
    return 60 * jobs / seconds(client, job, jobs, epochs)


def seconds(client: Rightfit, job: Json, jobs: int, epochs: int) -> float:
    """From the first POST of these jobs to the end of the last one."""
    posted = time.perf_counter()
    ids = [client.submit(job | {"epochs": epochs, "early_stopping": None, "seed": seed})["id"] for seed in range(jobs)]
    ends = [client.wait(job_id)["status"] for job_id in ids]
    if set(ends) != {"succeeded"}:
        raise RuntimeError(f"the jobs ended as {ends}")
    return time.perf_counter() - posted


def large_jobs(client: Rightfit, epochs: int) -> float:
    """The throughput of two large jobs that are submitted together over that of one after the other."""
    one = [seconds(client, LARGE, 1, epochs) for _ in range(2)]
    return sum(one) / seconds(client, LARGE, 2, epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=12, help="of each kind in each round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightfit-bench-")))
        clients: dict[str, Rightfit] = {}
        systems: dict[str, Callable[[str, int, int], float]] = {}
        for name, slots in SLOTS.items():
            settings = replace(Settings.from_env({"RIGHTFIT_HOME": str(home / name)}), port=0, slots=slots)
            clients[name] = stack.enter_context(Rightfit(stack.enter_context(Stack(settings)).url))
            systems[name] = partial(jobs_a_minute, clients[name])
        digits = home / "digits.npz"
        make("digits", digits, 0, 0)  # they are as many as they are
        systems[POOL] = stack.enter_context(Pool(digits, settings.threads)).jobs_a_minute
        for name, module in TUNERS.items():
            systems[name] = stack.enter_context(Tuner(module, digits)).jobs_a_minute
        for measure in systems.values():
            measure("mlp", 2, 1)  # everything is read from the disk once
        rates: dict[str, dict[str, list[float]]] = {model: {name: [] for name in systems} for model in MODELS}
        for model, rows in rates.items():
            for _ in range(given.rounds):
                for name, measure in systems.items():
                    rows[name].append(measure(model, given.jobs, given.epochs))
        large = [large_jobs(clients[OURS], given.epochs) for _ in range(given.rounds)]
    figures = {
        "jobs_a_minute": rates,
        "large": large,
        "over": {
            model: {name: _ratio(rows[OURS], rates) for name, rates in rows.items() if name != OURS}
            for model, rows in rates.items()
        },
    }
    print(json.dumps({"epochs": given.epochs, "jobs": given.jobs, **figures}))


def _ratio(ours: list[float], others: list[float]) -> float:
    """The median over the rounds."""
    return statistics.median(our / other for our, other in zip(ours, others, strict=True))


if __name__ == "__main__":
    main()
