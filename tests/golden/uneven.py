"""What helps the rare classes of an uneven set? `python -m tests.golden.uneven` writes uneven.md.

Of the ten digits, five have ten times as many images as the other five. The test images are of all digits alike, and
are used for nothing else.
"""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST
from service.core.evaluation.scores import Scores
from tests.golden.paired import spread
from tests.golden.runs import CNN, SetUp, train
from tests.golden.temperatures import predictions
from workers.training.data.images import ImageSet

FILE = Path(__file__).parent / "uneven.md"
SEEDS = range(1, 6)
FREQUENT, RARE = 110, 11  # images of a class, of which 30 % are for validation
RARE_CLASSES = range(5, 10)
TEST_IMAGES = 50  # of each class
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "`class_weights: balanced`": {"regularization": {"class_weights": "balanced"}},
    "`sampling: balanced`": {"regularization": {"sampling": "balanced"}},
    "`loss: focal`": {"regularization": {"loss": "focal"}},
    "`loss: logit_adjusted`": {"regularization": {"loss": "logit_adjusted"}},
}
MONITORS = ("val_loss", "val_macro_f1")
HEAD = f"""# Options for rare classes

The digits, {FREQUENT} images of each of five classes and {RARE} of each of the other five, a cnn, patience 20. Macro F1
and mean recall of the rare classes on {TEST_IMAGES} test images of each class: means over {len(SEEDS)} seeds. The
difference from the first row is paired by seed, with its 95 % interval (Student's t).

| option | early stopping watches | macro F1 | difference | recall of the rare classes | accuracy |
|---|---|---|---|---|---|
"""


def uneven(images: ImageSet, random: torch.Generator) -> ImageSet:
    """FREQUENT or RARE images of each class, and TEST_IMAGES more in the test part."""
    order = torch.randperm(len(images), generator=random)
    chosen, parts = [], []
    for label in range(len(images.classes)):
        count = RARE if label in RARE_CLASSES else FREQUENT
        chosen.append(order[images.labels[order] == label][: count + TEST_IMAGES])
        parts.append(torch.tensor([0] * count + [2] * TEST_IMAGES, dtype=torch.int8))
    kept = torch.cat(chosen)
    return replace(
        images, stored=images.stored[kept], labels=images.labels[kept], parts=torch.cat(parts), known_digest=None
    )


def scores(option: dict[str, Any], monitor: str, seed: int) -> Scores:
    """The scores of the best epoch with an option on the test images."""
    spec = {
        "dataset": {"id": "digits", "val_fraction": 0.3},
        "model": CNN,
        "epochs": 200,
        "early_stopping": {"monitor": monitor, "patience": 20},
    }
    trained = train(SetUp(spec | option, uneven), seed)
    assert trained.fitted.best_weights is not None
    trained.model.load_state_dict(trained.fitted.best_weights)
    return evaluate(predictions(trained), TEST).scores


def rare_recall(run: Scores) -> float:
    """The mean recall of the rare classes."""
    return fmean(run.per_class[label].recall for label in RARE_CLASSES)


def row(name: str, monitor: str, runs: list[Scores], plain: list[Scores]) -> str:
    """A row of the table. `plain` are the runs of the first row."""
    gains = [run.macro_f1 - other.macro_f1 for run, other in zip(runs, plain, strict=True)]
    mean, off = spread(gains)
    gain = f"{mean:+.3f} ({mean - off:+.3f} to {mean + off:+.3f})" if runs != plain else ""
    f1, rare = fmean(run.macro_f1 for run in runs), fmean(map(rare_recall, runs))
    accuracy = fmean(run.accuracy for run in runs)
    return f"| {name} | `{monitor}` | {f1:.3f} | {gain} | {rare:.3f} | {accuracy:.3f} |\n"


def main() -> None:
    torch.set_num_threads(1)
    runs = {
        (name, monitor): [scores(option, monitor, seed) for seed in SEEDS]
        for monitor in MONITORS
        for name, option in OPTIONS.items()
    }
    plain = next(iter(runs.values()))
    FILE.write_text(HEAD + "".join(row(*key, found, plain) for key, found in runs.items()))


if __name__ == "__main__":
    main()
