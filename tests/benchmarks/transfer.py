"""What a pretrained network is worth for few pictures: `python -m tests.benchmarks.transfer`, ten minutes for each set
on two quiet cores; `--help` lists the arguments.

The network is an EfficientNet-Lite0 with weights of ImageNet. The pictures are drawn, 64 pixels wide: scenes of five
classes and signs of six, 50 for training of each class. Each seed has its own pictures, split and first weights. Each
run has one thread; its seconds are those of the processor. Recipes from random weights train for as many seconds as the
last layer alone takes, and for as many as all layers take. Prints tables in Markdown.
"""

import argparse
import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from statistics import mean
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from service.core.experiments.filling import filled
from service.core.experiments.recipes import DataFacts, recipes_for
from service.core.records.dataset import Contents
from service.core.spec import JobSpec
from tests.golden.paired import spread
from tests.golden.scenes import SIGNS, THINGS, scenes, signs
from tests.golden.training import CPU, build, prepare
from tests.published_weights import MODEL, published
from workers.training import loop
from workers.training.data.images import ImageSet
from workers.training.data.prepare import Prepared
from workers.training.evaluate import evaluate
from workers.training.models.starting_weights import StartingWeights, load_weights

SIDE, SMALL_SIDE = 64, 32  # smaller pictures give more epochs in the same time
TRAIN, VALIDATION, TEST = 50, 20, 80  # pictures of a class
OF_CLASS = TRAIN + VALIDATION + TEST
# The pictures of a seed and a side, by the name of the set.
SETS: Mapping[str, Callable[[int, int], ImageSet]] = {
    "scenes": lambda seed, side: scenes(len(THINGS) * OF_CLASS, seed, side),
    "signs": lambda seed, side: signs(len(SIGNS) * OF_CLASS, seed, side),
}
SEEDS = (1, 2, 3)
EPOCHS = 8  # of all layers
HEAD_EPOCHS = 40
TIMED_EPOCHS = 2
SPLIT = {"id": "scenes", "val_fraction": VALIDATION / OF_CLASS, "test_fraction": TEST / OF_CLASS}
HEAD, ALL, LP_FT = "last layer only", "all layers", "last layer, then all"
HEAD_VIEWS = "last layer only, 10 augmented views"
ANEW = "last layer only, features computed in each epoch"
RECIPES = (("good", SIDE), ("good", SMALL_SIDE), ("quick", SMALL_SIDE))  # with the side of the pictures
SCRATCH = {f"random weights, recipe `{recipe}`, {side} pixels": (recipe, side) for recipe, side in RECIPES}
LP_FT_MODEL = {"arch": MODEL, "freeze": "then_all", "unfreeze_epoch": EPOCHS + 1, "layer_decay": 0.8}
PRETRAINED: Mapping[str, dict[str, Any]] = {
    HEAD: {
        "model": {"arch": MODEL, "freeze": "backbone"},
        "epochs": HEAD_EPOCHS,
        "optimizer": {"name": "adamw", "lr": 1e-2},
        "schedule": {"name": "cosine"},
    },
    HEAD_VIEWS: {
        "model": {"arch": MODEL, "freeze": "backbone", "cached_views": 10},
        "epochs": HEAD_EPOCHS,
        "optimizer": {"name": "adamw", "lr": 1e-2},
        "schedule": {"name": "cosine"},
        "augmentation": {"horizontal_flip": True, "random_resized_crop": 0.5},
    },
    ALL: {
        "model": {"arch": MODEL},
        "epochs": EPOCHS,
        "optimizer": {"name": "adamw", "lr": 1e-3},
        "schedule": {"name": "cosine", "warmup_epochs": 1},
    },
    LP_FT: {
        "model": LP_FT_MODEL,
        "epochs": 2 * EPOCHS,
        "optimizer": {"name": "adamw", "lr": 3e-3},
        "schedule": {"name": "cosine"},
    },
}


@dataclass(frozen=True)
class Run:
    """The test accuracy of the model kept, and the seconds of the processor and the epochs of its training."""

    accuracy: float
    seconds: float
    epochs: int


def spec_of(seed: int, changes: Mapping[str, Any]) -> JobSpec:
    given = {"dataset": SPLIT, "batch_size": 32, "early_stopping": None, "device": "cpu"}
    return JobSpec.from_dict(given | dict(changes)).filled(seed)


def from_scratch(name: str, spec: JobSpec, images: ImageSet) -> dict[str, Any]:
    """The recipe with this name for these pictures."""
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    facts = DataFacts.of(Contents(images.classes, tuple(counts), images.shape), spec.dataset)
    (recipe,) = (each for each in recipes_for(facts) if each.name == name)
    return filled({"dataset": SPLIT}, recipe.choices)


def run(spec: JobSpec, prepared: Prepared, weights: Mapping[str, Tensor] | None = None) -> Run:
    """Train a spec, from weights if they are given, and score the model kept on the test images."""
    model = build(spec, prepared)
    if weights is not None:
        load_weights(model, StartingWeights(weights, None, "", has_own_names=True), prepared.images.classes)
    batches, split = prepared.on(CPU), prepared.split
    started = time.process_time()
    data = loop.TrainingData(batches(split.train), batches(split.validation), None)
    fitted = loop.fit(model, data, replace(spec, train_loss_clean=False))
    seconds = time.process_time() - started
    return Run(_test_accuracy(model, fitted, prepared), seconds, fitted.epochs)


def _test_accuracy(model: nn.Module, fitted: loop.TrainingResult, prepared: Prepared) -> float:
    if fitted.best_weights is not None:
        model.load_state_dict(fitted.best_weights)
    return evaluate(model, prepared.on(CPU)(prepared.split.test)).accuracy


def seconds_of_epoch(spec: JobSpec, prepared: Prepared, weights: Mapping[str, Tensor] | None = None) -> float:
    """Seconds of an epoch without kept features, the mean of TIMED_EPOCHS."""
    with mock.patch.object(loop, "may_keep_features", return_value=False):
        return run(replace(spec, epochs=TIMED_EPOCHS), prepared, weights).seconds / TIMED_EPOCHS


def pictures(of: str, seed: int, side: int) -> Prepared:
    return prepare(spec_of(seed, {}), SETS[of](seed, side))


def with_weights(of: str, name: str, seed: int) -> Run:
    """A run of PRETRAINED. That of ANEW has the seconds of all epochs, from TIMED_EPOCHS."""
    prepared, spec = pictures(of, seed, SIDE), spec_of(seed, PRETRAINED[HEAD if name == ANEW else name])
    if name != ANEW:
        return run(spec, prepared, published())
    return Run(math.nan, HEAD_EPOCHS * seconds_of_epoch(spec, prepared, published()), HEAD_EPOCHS)


def without_weights(of: str, name: str, seed: int, seconds: float) -> Run:
    """The recipe of SCRATCH, with the epochs that take these seconds."""
    recipe, side = SCRATCH[name]
    prepared = pictures(of, seed, side)
    spec = spec_of(seed, from_scratch(recipe, spec_of(seed, {}), prepared.images))
    return run(replace(spec, epochs=max(1, round(seconds / seconds_of_epoch(spec, prepared)))), prepared)


def one(of: str, name: str, seed: int, seconds: float) -> Run:
    """A run by its name on a set; `seconds` are for recipes."""
    torch.set_num_threads(1)
    found = without_weights(of, name, seed, seconds) if name in SCRATCH else with_weights(of, name, seed)
    print(of, name, seed, found, file=sys.stderr, flush=True)
    return found


def gain(first: Sequence[Run], others: Sequence[Run]) -> str:
    """How much more accurate the `first` runs are, paired by seed, with its 95 % interval (Student's t)."""
    gained, half = spread([one.accuracy - other.accuracy for one, other in zip(first, others, strict=True)])
    return f"{100 * gained:+.1f} ± {100 * half:.1f} points"


def row(name: str, runs: Sequence[Run], first: Sequence[Run]) -> str:
    """The means over the seeds, the lowest accuracy, and how much more accurate the `first` runs are."""
    accuracy, seconds, epochs = (
        mean(getattr(each, field) for each in runs) for field in ("accuracy", "seconds", "epochs")
    )
    worst, more = min(each.accuracy for each in runs), "" if runs is first else gain(first, runs)
    return f"| {name} | {accuracy:.1%} | {worst:.1%} | {more} | {seconds:.1f} | {epochs:.0f} |"


def seconds_of(runs: Sequence[Run]) -> float:
    return mean(each.seconds for each in runs)


def measure(of: str, processes: int) -> None:
    """Train all runs on a set, and print its table."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:

        def trained(names: Iterable[str], seconds: float = 0.0) -> dict[str, list[Run]]:
            asked = list(product([of], names, SEEDS))
            found = iter(list(pool.map(one, *zip(*asked, strict=True), [seconds] * len(asked))))
            return {name: [next(found) for _ in SEEDS] for name in names}

        runs = trained((*PRETRAINED, ANEW))
        recipes = {like: trained(tuple(SCRATCH), seconds_of(runs[like])) for like in (HEAD, ALL)}
    head, anew = runs[HEAD], seconds_of(runs.pop(ANEW))
    print(f"\n{of}:\n\n| run | test accuracy | lowest | {HEAD} is better by (95 %) | seconds | epochs |")
    print("|---|---|---|---|---|---|")
    for name, of_name in runs.items():
        print(row(name, of_name, head))
    for like, of_recipes in recipes.items():
        for name, of_name in of_recipes.items():
            print(row(f"{name}, as long as {like}", of_name, head))
    print(f"\n{LP_FT} is better than {ALL} by {gain(runs[LP_FT], runs[ALL])}.")
    kept = seconds_of(head)
    print(f"\nLast layer with features computed in each epoch: {anew:.0f} s, kept: {kept:.1f} s, {kept / anew:.1%}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS), help=f"some of {', '.join(SETS)}; all if none is named")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    for of in given.sets:
        measure(of, given.processes)


if __name__ == "__main__":
    main()
