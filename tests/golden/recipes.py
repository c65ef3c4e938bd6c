"""What recipes gain over the defaults of a spec: `python -m tests.golden.recipes` writes recipes.md.

The measures are those of the best epoch's model on test images, which no choice was made by.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST
from service.core.experiments.filling import filled
from service.core.experiments.recipes import DataFacts, recipes_for
from service.core.records.dataset import Contents
from service.core.spec import Dataset, JobSpec
from tests.golden import training
from tests.golden.effects import DATA
from tests.golden.paired import spread
from tests.golden.runs import Trained
from tests.golden.temperatures import predictions
from workers.training.data.images import ImageSet

FILE = Path(__file__).parent / "recipes.md"
SEEDS = range(1, 6)
SPLIT = {"id": "digits", "val_fraction": 0.2, "test_fraction": 0.3}
HEAD = f"""# What recipes gain over the defaults

Accuracy on the test images, the mean over {len(SEEDS)} seeds, and its difference from that of the defaults, paired by
seed, with the 95 % interval of Student's t. Time of the training on one CPU core. Made by
`python -m tests.golden.recipes`.

| data | images | recipe | test accuracy | difference | test loss | seconds |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Score:
    """A run's accuracy and loss on its test images, and its time in seconds."""

    accuracy: float
    loss: float
    seconds: float


def specs(images: ImageSet) -> Mapping[str, dict[str, Any]]:
    """The spec of the defaults, and those of the recipes, by name."""
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    contents = Contents(images.classes, tuple(counts), images.shape)
    facts = DataFacts.of(contents, Dataset(**SPLIT))  # type: ignore[arg-type]  # plain data
    plain: dict[str, Any] = {"dataset": SPLIT}
    return {"": plain} | {recipe.name: filled(plain, recipe.choices) for recipe in recipes_for(facts)}


def score(plain: Mapping[str, Any], images: ImageSet, seed: int) -> Score:
    """Train a spec and score its best model."""
    spec = replace(JobSpec.from_dict(plain), seed=seed).filled(seed)
    prepared, began = training.prepare(spec, images), time.monotonic()
    model = training.build(spec, prepared)
    fitted = training.train(spec, prepared, model)
    seconds = time.monotonic() - began
    assert fitted.best_weights is not None
    model.load_state_dict(fitted.best_weights)
    scores = evaluate(predictions(Trained(spec, prepared, model, fitted)), TEST)
    return Score(scores.scores.accuracy, scores.calibration.loss, seconds)


def rows(data: str) -> list[str]:
    """The rows of a data set: the defaults and each recipe."""
    found: dict[str, list[Score]] = {}
    for seed in SEEDS:
        images = DATA[data](seed)
        for name, plain in specs(images).items():
            found.setdefault(name, []).append(score(plain, images, seed))
    return [row(data, len(images), name, runs, found[""]) for name, runs in found.items()]


def row(data: str, images: int, name: str, runs: list[Score], plain: list[Score]) -> str:
    """A row of the table. `plain` are the runs of the defaults."""
    mean, off = spread([run.accuracy - other.accuracy for run, other in zip(runs, plain, strict=True)])
    gain = f"{100 * mean:+.1f} ({100 * (mean - off):+.1f} to {100 * (mean + off):+.1f}) points" if name else ""
    accuracy, loss, seconds = (fmean(getattr(run, key) for run in runs) for key in ("accuracy", "loss", "seconds"))
    label = f"`{name}`" if name else "the defaults"
    return f"| {data} | {images} | {label} | {accuracy:.1%} | {gain} | {loss:.3f} | {seconds:.0f} |\n"


def main(names: list[str]) -> None:
    """Measure the data sets of these names, or all."""
    torch.set_num_threads(1)
    lines = []
    for name in names or DATA:
        lines += rows(name)
        print("".join(lines), flush=True)
    if not names:
        FILE.write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
