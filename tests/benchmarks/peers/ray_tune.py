"""Ray Tune with Lightning: a trial for each core at a time. Each trial reports once, at its end."""

import logging
import os
import tempfile
from typing import Any

import ray
from ray import tune

from tests.benchmarks.peers.trials import Trials, answer


def run(trials: Trials) -> None:
    def objective(config: dict[str, Any]) -> None:
        tune.report({"val_loss": trials.train(config["seed"])})

    with tempfile.TemporaryDirectory(prefix="rightfit-bench-") as folder:
        results = tune.Tuner(
            tune.with_resources(objective, {"cpu": 1}),
            param_space={"seed": tune.grid_search(list(range(trials.jobs)))},
            tune_config=tune.TuneConfig(metric="val_loss", mode="min"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
    if results.num_errors:
        raise results.errors[0]


def main() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # the paths of its sockets must be short
        ray.init(
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
        )
        try:
            answer(run)
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()
