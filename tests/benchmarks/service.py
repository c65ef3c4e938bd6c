"""From POST to trained model: the digits job through the whole service, on a stack of its own.

To be set beside the whole-process seconds of the peers, who import, train and save as well.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from typing import Any

from service.client import Rightfit
from service.core.settings import Settings
from service.stack.standalone import Stack

JOB: dict[str, Any] = {
    "dataset": {"id": "digits"},
    "model": {"arch": "cnn", "channels": [32, 64], "hidden": [128]},
    "batch_size": 64,
    "early_stopping": None,
    "train_loss_clean": False,
}


def one_job(client: Rightfit, epochs: int, seed: int) -> dict[str, float]:
    """Seconds from the POST to the first step, to the arrival of the first epoch's row, and to the end.

    The first step is the time of that arrival minus the duration of the epochs that had ended by then. `ratio` is the
    time to the end over that of all epochs.
    """
    posted = time.perf_counter()
    job = client.submit(JOB | {"epochs": epochs, "seed": seed})
    times: dict[str, float] = {}
    for change in client.changes(job["id"]):
        now = time.perf_counter() - posted
        if change["last"] and not times:
            rows = client.history(job["id"])["data"][: change["last"]["epoch"]]
            times = {"first_step": now - sum(row["seconds"] for row in rows), "first_epoch": now}
        if change["status"] == "succeeded":
            training = sum(row["seconds"] for row in client.history(job["id"])["data"])
            return times | {"succeeded": now, "ratio": now / training}
    raise RuntimeError(f"the job did not succeed: {client.job(job['id'])['error']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as home:
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": home}), port=0)
        with Stack(settings) as stack, Rightfit(stack.url) as client:
            ready = time.perf_counter() - started
            jobs = [one_job(client, given.epochs, seed) for seed in range(given.repeats)]
    medians = {name: statistics.median(job[name] for job in jobs) for name in jobs[0]}
    print(json.dumps({"epochs": given.epochs, "stack_ready": ready, "median": medians, "jobs": jobs}))


if __name__ == "__main__":
    main()
