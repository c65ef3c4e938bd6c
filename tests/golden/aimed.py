"""Runs of set-ups aimed at verdicts that world.py seldom draws: `python -m tests.golden.aimed COUNT AIM…` trains more,
of the aims that are named, until there are COUNT in all.

Of each run, two things are known that its diagnosis cannot see: its loss and accuracy on HELD_OUT further images after
each epoch and, where the rate is large, the losses of the same set-up with a third of it.
"""

import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from service.core.errors import RightfitError
from service.core.spec import JobSpec
from tests.golden import training
from tests.golden.world import collect, columns, digits, mislabelled, shapes, short
from workers.training.data.images import ImageSet
from workers.training.evaluate import evaluate
from workers.training.facts import facts
from workers.training.state import EpochResult

FILE = Path(__file__).with_suffix(".json")
HELD_OUT = 300  # images, half of a smaller set
LARGE, SMALLER = 3.0, 3  # times the usual rate; from there on, another run has its rate divided by SMALLER
MOST_STEPS = {"mlp": 3000, "cnn": 600}  # of the optimizer
LEAST_EPOCHS = 16
USUAL = {"adam": 2e-3, "adamw": 2e-3, "sgd": 0.05}
Plain = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One training: its epochs, and loss and accuracy on held-out images after each."""

    history: list[EpochResult]
    loss: list[float]
    accuracy: list[float]


def too_little(r: random.Random) -> Plain:
    """A small network, or one that is held back: its losses stay high."""
    small: list[Plain] = [{"hidden": []}, {"hidden": [2]}, {"hidden": [3]}, {"hidden": [4]}, {"hidden": [8]}]
    model = {"arch": "mlp", **r.choice(small)} if r.random() < 0.6 else _cnn(r, [[1, 2], [2, 2], [2, 4]], [8])
    held_back = r.choice([{}, {}, {"weight_decay": 0.3}, {"dropout": 0.6}, {"mixup_alpha": 0.5}])
    return {"model": model, **_optimizer(r, [0.3, 1.0, 2.0, 4.0]), "epochs": r.choice([30, 50, 80])} | {
        "regularization": held_back
    }


def too_much(r: random.Random) -> Plain:
    """A large network and few images: it knows its images by heart."""
    wide = {"arch": "mlp", "hidden": r.choice([[64], [128], [256], [128, 64], [256, 128]])}
    model = wide if r.random() < 0.6 else _cnn(r, [[4, 8], [8, 16]], [32])
    return {"model": model, **_optimizer(r, [0.3, 0.7, 1.0, 2.0]), "epochs": r.choice([30, 50, 80])}


def too_fast(r: random.Random) -> Plain:
    """Large steps, or steps that grow in a warm-up."""
    wide = {"arch": "mlp", "hidden": r.choice([[32], [64], [128], [128, 64]])}
    model = wide if r.random() < 0.6 else _cnn(r, [[4, 8], [8, 16]], [32])
    schedule = r.choice([{"name": "constant"}, {"name": "constant", "warmup_epochs": r.choice([20, 40, 60])}])
    epochs = r.choice([20, 40, 60])
    return {"model": model, **_optimizer(r, [3.0, 5.0, 8.0, 12.0, 20.0]), "epochs": epochs, "schedule": schedule}


def too_sure(r: random.Random) -> Plain:
    """A large network that goes on long after it knows its images."""
    wide = {"arch": "mlp", "hidden": r.choice([[64], [128], [256], [256, 128]])}
    model = wide if r.random() < 0.7 else _cnn(r, [[8, 16]], [32])
    return {"model": model, **_optimizer(r, [1.0, 2.0, 4.0]), "epochs": r.choice([60, 90, 120])}


def wrong_labels(r: random.Random) -> Plain:
    """A large network that learns wrong labels by heart."""
    return too_sure(r)


def rising_rate(r: random.Random) -> Plain:
    """Steps that grow throughout, up to many times the usual ones."""
    schedule = {"name": "constant", "warmup_epochs": r.choice([30, 60, 90])}
    return too_fast(r) | {**_optimizer(r, [8.0, 15.0, 30.0, 60.0]), "epochs": 60, "schedule": schedule}


def climbing_rate(r: random.Random) -> Plain:
    """Steps that grow, early in the run, to many times the usual ones."""
    schedule = {"name": "constant", "warmup_epochs": r.choice([8, 12, 16])}
    return too_fast(r) | {**_optimizer(r, [10.0, 15.0, 25.0, 40.0]), "epochs": 40, "schedule": schedule}


def far_too_fast(r: random.Random) -> Plain:
    """Steps so large that the losses may explode."""
    return too_fast(r) | _optimizer(r, [20.0, 50.0, 150.0, 500.0])


AIMS: Mapping[str, Callable[[random.Random], Plain]] = {
    f.__name__: f
    for f in (too_little, too_much, too_fast, too_sure, wrong_labels, rising_rate, climbing_rate, far_too_fast)
}
WRONG = (0.0, 0.05, 0.2, 0.4)  # shares of the labels
SELDOM, ALWAYS = (8, 1, 1, 1), (0, 1, 1, 1)  # how often each of them is drawn


def _cnn(r: random.Random, channels: list[list[int]], hidden: list[int]) -> Plain:
    norm = r.choice(["none", "none", "batch"])
    return {"arch": "cnn", "channels": r.choice(channels), "hidden": hidden, "norm": norm}


def _optimizer(r: random.Random, times: list[float]) -> Plain:
    name = r.choice(["adam", "adamw", "sgd"])
    lr = min(1.0, USUAL[name] * r.choice(times))
    momentum = r.choice([0.0, 0.9]) if name == "sgd" else 0.0
    return {"optimizer": {"name": name, "lr": lr, "momentum": momentum}, "batch_size": r.choice([8, 16, 32, 32])}


def train(seed: int, aims: Sequence[str]) -> dict[str, Any] | None:
    """The run that a seed draws for one of the aims, as plain data; None where its parts do not fit together."""
    r = random.Random(seed)
    aim = r.choice(aims)
    wrong = r.choices(WRONG, ALWAYS if AIMS[aim] is wrong_labels else SELDOM)[0]
    plain, own = AIMS[aim](r), r.choice([200, 300, 400, 600])
    images = mislabelled(r, r.choice([digits, shapes])(r, own + HELD_OUT), wrong)
    own = min(own, len(images) // 2)
    spec = _spec(plain, own, len(images), r.choice([0.25, 0.4]), seed)
    try:
        prepared, run, calm = training.prepare(spec, images), _measured(spec, images), _with_smaller_rate(spec, images)
    except RightfitError:
        return None
    made = {"aim": aim, "wrong": wrong, "copied": False, "rare": 0.0, "classes": len(images.classes), "images": own}
    return {
        "seed": seed,
        "made": made | {"model": plain["model"], **plain["optimizer"], "batch_size": spec.batch_size},
        "facts": facts(prepared),
        "stop_reason": "max_epochs",
        "epochs": columns(run.history),
        "held_out": {"loss": _shortened(run.loss), "accuracy": _shortened(run.accuracy)},
        "smaller_rate": calm
        and {"loss": _shortened(calm.loss), "train_loss": columns(calm.history)["train_loss_clean"]},
    }


def _spec(plain: Plain, own: int, images: int, share: float, seed: int) -> JobSpec:
    """The spec, with as many epochs as the steps allow; the images that are not its own are held out as a test part."""
    split = {"id": "digits", "val_fraction": share * own / images, "test_fraction": 1 - own / images}
    spec = JobSpec.from_dict({**plain, "dataset": split, "early_stopping": None}).filled(seed)
    affordable = MOST_STEPS[plain["model"]["arch"]] // math.ceil(own * (1 - share) / spec.batch_size)
    return replace(spec, epochs=max(LEAST_EPOCHS, min(spec.epochs, affordable)))


def _with_smaller_rate(spec: JobSpec, images: ImageSet) -> Measured | None:
    """The same with a smaller rate; None where the rate is not large."""
    optimizer = spec.optimizer
    if optimizer.lr < LARGE * USUAL[optimizer.name]:
        return None
    return _measured(replace(spec, optimizer=replace(optimizer, lr=optimizer.lr / SMALLER)), images)


def _measured(spec: JobSpec, images: ImageSet) -> Measured:
    prepared = training.prepare(spec, images)
    model, held_out = training.build(spec, prepared), prepared.on(training.CPU)(prepared.split.test)
    losses, accuracies = [], []

    def score(_: EpochResult) -> None:
        found = evaluate(model, held_out)
        losses.append(found.loss)
        accuracies.append(found.accuracy)

    fitted = training.train(spec, prepared, model, score)
    return Measured(fitted.history, losses, accuracies)


def _shortened(values: list[float]) -> list[float | None]:
    return [short(value) if math.isfinite(value) else None for value in values]


if __name__ == "__main__":
    collect(FILE, int(sys.argv[1]), partial(train, aims=sys.argv[2:] or list(AIMS)))
