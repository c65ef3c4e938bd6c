"""Loss histories of real runs on the digits that go wrong, or right, in a known way: `python -m tests.golden.runs`.

Each set-up is run with several seeds. labels.py has the verdict on each curve, judged by eye.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from service.core.records.epoch import Epoch
from service.core.spec import JobSpec
from tests.golden import training
from workers.training.data.digits import load
from workers.training.data.images import ImageSet
from workers.training.data.prepare import Prepared
from workers.training.facts import facts
from workers.training.loop import TrainingResult

FILE = Path(__file__).parent / "runs.json"
SEEDS = (1, 2, 3, 4)
DIGITS = 5  # significant, of a stored number
KEPT = (
    "epoch",
    "train_loss",
    "train_loss_clean",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "lr",
    "val_loss_se",
    "val_change_se",
)

MLP: dict[str, Any] = {"arch": "mlp", "hidden": [64]}
CNN: dict[str, Any] = {"arch": "cnn", "channels": [8, 16], "hidden": [32]}


@dataclass(frozen=True)
class SetUp:
    """Changes of a plain spec and of the data."""

    spec: dict[str, Any]
    data: Callable[[ImageSet, torch.Generator], ImageSet] = lambda images, random: images


def _some(images: ImageSet, indices: torch.Tensor) -> ImageSet:
    return replace(images, stored=images.stored[indices], labels=images.labels[indices], known_digest=None)


def _noisy(share: float) -> Callable[[ImageSet, torch.Generator], ImageSet]:
    """Replace this share of the labels by random ones."""

    def change(images: ImageSet, random: torch.Generator) -> ImageSet:
        wrong = torch.rand(len(images), generator=random) < share
        drawn = torch.randint(0, 10, (len(images),), generator=random)
        return replace(images, labels=torch.where(wrong, drawn, images.labels), known_digest=None)

    return change


def _few(most: int) -> Callable[[ImageSet, torch.Generator], ImageSet]:
    """Keep at most `most` images."""
    return lambda images, random: _some(images, torch.randperm(len(images), generator=random)[:most])


def _thrice(most: int) -> Callable[[ImageSet, torch.Generator], ImageSet]:
    """Keep at most `most` images, each three times: a random split has copies on both sides."""

    def change(images: ImageSet, random: torch.Generator) -> ImageSet:
        return _some(images, torch.randperm(len(images), generator=random)[:most].repeat(3))

    return change


def _limit(images: int, **more: Any) -> dict[str, Any]:
    return {"dataset": {"id": "digits", "train_limit": images, **more}}


SET_UPS: dict[str, SetUp] = {
    "few_plain_mlp": SetUp(_limit(100) | {"optimizer": {"lr": 3e-3}, "epochs": 80}),
    "few_plain_cnn": SetUp(_limit(100) | {"model": CNN, "optimizer": {"lr": 3e-3}, "epochs": 80}),
    "few_plain_wide": SetUp(
        _limit(200) | {"model": {"arch": "mlp", "hidden": [256, 128]}, "optimizer": {"lr": 1e-3}, "epochs": 80}
    ),
    "few_regularized": SetUp(
        _limit(100)
        | {
            "optimizer": {"lr": 3e-3},
            "epochs": 80,
            "regularization": {"dropout": 0.5, "weight_decay": 3e-3, "label_smoothing": 0.1},
            "augmentation": {"crop_padding": 1},
        }
    ),
    "stopped_early": SetUp(
        _limit(200) | {"model": CNN, "optimizer": {"lr": 2e-3}, "early_stopping": {"patience": 10}, "epochs": 150}
    ),
    "label_noise_20": SetUp(_limit(500) | {"optimizer": {"lr": 3e-3}, "epochs": 60}, _noisy(0.2)),
    "label_noise_40": SetUp(
        {"model": {"arch": "mlp", "hidden": [256]}, "optimizer": {"lr": 3e-3}, "epochs": 60}, _noisy(0.4)
    ),
    "labels_shuffled": SetUp(_limit(400) | {"optimizer": {"lr": 3e-3}, "epochs": 60}, _noisy(1.0)),
    "lr_too_high_adam": SetUp({"optimizer": {"lr": 1.0}, "epochs": 30}),
    "lr_too_high_sgd": SetUp({"optimizer": {"name": "sgd", "lr": 8.0}, "epochs": 30}),
    "lr_explodes": SetUp({"optimizer": {"name": "sgd", "lr": 10.0, "momentum": 0.9}, "model": CNN, "epochs": 30}),
    "lr_far_too_low": SetUp({"optimizer": {"lr": 1e-7}, "epochs": 30}),
    "lr_too_low": SetUp({"optimizer": {"lr": 3e-5}, "epochs": 30}),
    "few_epochs": SetUp({"optimizer": {"lr": 3e-4}, "epochs": 10}),
    "three_epochs": SetUp({"epochs": 3}),
    "too_small_mlp": SetUp({"model": {"arch": "mlp", "hidden": [2]}, "optimizer": {"lr": 1e-2}, "epochs": 80}),
    "too_small_cnn": SetUp(
        {
            "model": {"arch": "cnn", "channels": [1, 1], "hidden": [], "kernel_size": 3},
            "optimizer": {"lr": 1e-2},
            "epochs": 60,
        }
    ),
    "decayed_too_much": SetUp(
        {"optimizer": {"name": "adam", "lr": 3e-3}, "regularization": {"weight_decay": 0.3}, "epochs": 60}
    ),
    "tiny_validation": SetUp(
        {"dataset": {"id": "digits", "val_fraction": 0.05}, "optimizer": {"lr": 2e-3}, "epochs": 40}, _few(320)
    ),
    "duplicates": SetUp(
        {"model": {"arch": "mlp", "hidden": [128]}, "optimizer": {"lr": 3e-3}, "epochs": 60}, _thrice(150)
    ),
    "heavy_dropout": SetUp(
        {
            "model": CNN,
            "optimizer": {"lr": 2e-3},
            "epochs": 60,
            "regularization": {"dropout": 0.6, "spatial_dropout": 0.3},
            "augmentation": {"trivial_augment": True},
        }
    ),
    "mixed_images": SetUp(
        {"model": CNN, "optimizer": {"lr": 2e-3}, "epochs": 60, "regularization": {"mixup_alpha": 1.0}}
    ),
    "batch_norm": SetUp(
        _limit(600)
        | {"model": CNN | {"norm": "batch"}, "optimizer": {"name": "sgd", "lr": 0.5}, "batch_size": 8, "epochs": 40}
    ),
    "sgd_jumps": SetUp(
        _limit(300) | {"optimizer": {"name": "sgd", "lr": 0.7, "momentum": 0.5}, "batch_size": 16, "epochs": 40}
    ),
    "full_cosine": SetUp(
        {
            "model": CNN | {"norm": "batch"},
            "optimizer": {"name": "adamw", "lr": 3e-3},
            "schedule": {"name": "cosine"},
            "regularization": {"weight_decay": 0.05},
            "epochs": 30,
        }
    ),
    "full_short": SetUp({"model": CNN, "optimizer": {"lr": 2e-3}, "epochs": 14}),
    "full_long": SetUp({"model": CNN, "optimizer": {"lr": 1e-3}, "epochs": 80}),
    "full_plain_mlp": SetUp({"optimizer": {"lr": 1e-3}, "epochs": 60}),
    "full_regularized": SetUp(
        {
            "model": CNN,
            "optimizer": {"name": "adamw", "lr": 3e-3},
            "schedule": {"name": "cosine"},
            "regularization": {"dropout": 0.2, "weight_decay": 0.05},
            "epochs": 40,
        }
    ),
    "full_small_batches": SetUp({"model": CNN, "optimizer": {"lr": 1e-2}, "batch_size": 16, "epochs": 40}),
    "certain_wide": SetUp(
        _limit(150) | {"model": {"arch": "mlp", "hidden": [512, 512]}, "optimizer": {"lr": 5e-3}, "epochs": 100}
    ),
    "certain_cnn": SetUp(
        _limit(100)
        | {
            "model": {"arch": "cnn", "channels": [16, 32], "hidden": [64]},
            "optimizer": {"lr": 1e-2},
            "epochs": 80,
            "batch_size": 16,
        }
    ),
    "certain_small_batches": SetUp(_limit(800) | {"optimizer": {"lr": 3e-2}, "batch_size": 16, "epochs": 40}),
    "label_noise_5": SetUp(
        _limit(400) | {"model": {"arch": "mlp", "hidden": [256, 256]}, "optimizer": {"lr": 3e-3}, "epochs": 80},
        _noisy(0.05),
    ),
    "rising_rate": SetUp(
        {
            "model": CNN,
            "optimizer": {"lr": 5e-2},
            "schedule": {"name": "onecycle", "rising_share": 0.95},
            "batch_size": 32,
            "epochs": 24,
        }
    ),
    "collapsed": SetUp(
        _limit(300)
        | {
            "model": CNN | {"norm": "batch"},
            "optimizer": {"name": "sgd", "lr": 0.2, "momentum": 0.9},
            "batch_size": 16,
            "epochs": 30,
        }
    ),
    "jumping": SetUp(
        _limit(600)
        | {"model": CNN | {"norm": "batch"}, "optimizer": {"name": "sgd", "lr": 0.15}, "batch_size": 4, "epochs": 30}
    ),
    "jumping_mlp": SetUp(
        _limit(600)
        | {
            "model": {"arch": "mlp", "hidden": [64, 64]},
            "optimizer": {"lr": 5e-2},
            "batch_size": 32,
            "regularization": {"weight_decay": 0.01},
            "epochs": 40,
        }
    ),
}


@dataclass(frozen=True)
class Trained:
    """A run that has ended; `model` has the weights of the last epoch."""

    spec: JobSpec
    prepared: Prepared
    model: nn.Module
    fitted: TrainingResult


def train(set_up: SetUp, seed: int) -> Trained:
    """Train a set-up with a seed."""
    plain = {"dataset": {"id": "digits"}, "model": MLP, "early_stopping": None}
    spec = JobSpec.from_dict(plain | set_up.spec).filled(0)
    spec = replace(spec, seed=seed)
    images = set_up.data(load(), torch.Generator().manual_seed(1000 + seed))
    prepared = training.prepare(spec, images)
    model = training.build(spec, prepared)
    return Trained(spec, prepared, model, training.train(spec, prepared, model))


def run(name: str, seed: int) -> dict[str, Any]:
    """Train a set-up with a seed; plain data of its spec, facts and history."""
    trained = train(SET_UPS[name], seed)
    epochs = [asdict(Epoch.measured(asdict(result))) for result in trained.fitted.history]
    return {
        "set_up": name,
        "seed": seed,
        "spec": trained.spec.to_dict(),
        "facts": facts(trained.prepared),
        "stop_reason": trained.fitted.stop_reason,
        "epochs": {column: [_short(epoch[column]) for epoch in epochs] for column in KEPT},
    }


def _short(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def main(names: list[str]) -> None:
    """Run the set-ups of these names, or all of them; the others stay as they are in the file."""
    torch.set_num_threads(1)
    known = {(r["set_up"], r["seed"]): r for r in json.loads(FILE.read_text())} if names else {}
    for name in names or SET_UPS:
        known |= {(name, seed): run(name, seed) for seed in SEEDS}
        print(name, [known[name, seed]["epochs"]["val_loss"][-1] for seed in SEEDS], flush=True)
    runs = [known[name, seed] for name in SET_UPS for seed in SEEDS]
    FILE.write_text("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in runs) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1:])
