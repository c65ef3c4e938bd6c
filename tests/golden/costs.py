"""What a diagnosis costs: `python -m tests.golden.costs` prints costs.md."""

import random
import time
from collections.abc import Callable
from statistics import median

import torch

from service.core.diagnosis import diagnose
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.spec import JobSpec
from tests.golden import training
from tests.golden.scoring import UNMEASURED
from workers.trainer.live_diagnosis import LiveDiagnosis
from workers.training.data.digits import load as load_digits
from workers.training.facts import facts
from workers.training.state import EpochResult

LONG, REPEATS = 10_000, 9
JOB = {"dataset": {"id": "digits"}, "model": {"arch": "mlp"}, "epochs": 200, "early_stopping": None}
Measures = dict[str, float | None]


def long_history() -> list[Epoch]:
    """LONG epochs in which validation loss comes down, and rises slowly under noise."""
    r = random.Random(1)
    return [_epoch(i, 2.0 * 0.999**i + 1e-3, 0.5 + 1.5 * 0.99**i + 1e-5 * i + r.gauss(0, 0.01)) for i in range(LONG)]


def _epoch(index: int, train: float, val: float) -> Epoch:
    measures: Measures = {"train_loss": train, "train_loss_clean": train, "val_loss": val, "val_accuracy": 0.8}
    return Epoch.measured(
        {"epoch": index + 1, "lr": 1e-3, "penalty": None, "train_accuracy": 0.9} | UNMEASURED | measures
    )


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds, the median of some calls."""
    return median(_spent(work, time.process_time) for _ in range(REPEATS))


def _spent(work: Callable[[], object], clock: Callable[[], float]) -> float:
    started = clock()
    work()
    return clock() - started


def live_share() -> float:
    """Of the time of a training that is diagnosed while it runs."""
    images, spec = load_digits(), JobSpec.from_dict(JOB).filled(1)
    prepared = training.prepare(spec, images)
    live, spent = LiveDiagnosis(Facts.from_dict(facts(prepared)), lambda report: None), 0.0

    def add(result: EpochResult) -> None:
        nonlocal spent
        epoch = Epoch.measured(vars(result))
        spent += _spent(lambda: live.add(epoch), time.monotonic)

    model = training.build(spec, prepared)
    whole = _spent(lambda: training.train(spec, prepared, model, add), time.monotonic)
    return spent / whole


def main() -> None:
    torch.set_num_threads(1)
    history = long_history()
    print(
        "What a diagnosis costs. Made by `python -m tests.golden.costs`.\n\n"
        f"- {LONG:,} epochs take {1000 * seconds(lambda: diagnose(history)):.0f} ms of CPU time, the median of "
        f"{REPEATS} diagnoses.\n"
        f"- A job of {JOB['epochs']} epochs on the digits (mlp) that is diagnosed while it runs spends "
        f"{live_share():.2%} of its time on that."
    )


if __name__ == "__main__":
    main()
