"""Jobs a minute of one worker with one slot and with as many slots as cores: `python -m tests.benchmarks.slots`.

Small jobs on the digits are submitted all at once to one stack, then to the other, in turn, so that what else runs on
the machine slows both. The time is that from the first POST to the end of the last job.
"""

import argparse
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.client import Rightfit
from service.core.settings import Settings
from service.stack.standalone import Stack

Json = dict[str, Any]

MODELS: dict[str, Json] = {
    "cnn": {"arch": "cnn", "channels": [32, 64], "hidden": [128]},
    "mlp": {"arch": "mlp", "hidden": [64]},
}
SLOTS = {"one slot": 1, "slots": None}


def jobs_a_minute(client: Rightfit, model: Json, jobs: int, epochs: int) -> float:
    job = {"dataset": {"id": "digits"}, "model": model, "epochs": epochs, "early_stopping": None}
    posted = time.perf_counter()
    ids = [client.submit(job | {"seed": seed})["id"] for seed in range(jobs)]
    ends = [client.wait(job_id)["status"] for job_id in ids]
    if set(ends) != {"succeeded"}:
        raise RuntimeError(f"the jobs ended as {ends}")
    return 60 * jobs / (time.perf_counter() - posted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=12, help="of each kind in each round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightfit-bench-")))
        clients = {}
        for name, slots in SLOTS.items():
            settings = replace(Settings.from_env({"RIGHTFIT_HOME": str(home / name)}), port=0, slots=slots)
            clients[name] = stack.enter_context(Rightfit(stack.enter_context(Stack(settings)).url))
            jobs_a_minute(clients[name], MODELS["mlp"], 2, 1)  # everything is read from the disk once
        rates: dict[str, dict[str, list[float]]] = {model: {name: [] for name in SLOTS} for model in MODELS}
        for model, rows in rates.items():
            for _ in range(given.rounds):
                for name, client in clients.items():
                    rows[name].append(jobs_a_minute(client, MODELS[model], given.jobs, given.epochs))
    gains = {model: statistics.median(map(_ratio, *rows.values())) for model, rows in rates.items()}
    print(json.dumps({"epochs": given.epochs, "jobs": given.jobs, "jobs_a_minute": rates, "gain": gains}))


def _ratio(one: float, several: float) -> float:
    return several / one


if __name__ == "__main__":
    main()
