"""What a temperature does to the golden runs that are labelled overconfident: `python -m tests.golden.temperatures`
writes temperatures.md.

The runs train on a few of the digits. Those that are neither training nor validation images are the test images: the
temperature is fitted without them.
"""

from pathlib import Path

import numpy as np
import torch

from service.core.diagnosis import Verdict
from service.core.evaluation.evaluation import Evaluation, evaluate
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions
from tests.golden.labels import LABELS
from tests.golden.runs import SEEDS, SET_UPS, Trained, train
from tests.golden.training import CPU
from workers.training.evaluate import eval_mode

FILE = Path(__file__).parent / "temperatures.md"
HEAD = """# The temperature on overconfident runs

Golden runs that are labelled overconfident: the model of the best epoch, which a job keeps, and that of the last epoch,
which the verdict is about. The temperature is fitted on the validation images; loss, calibration error and accuracy are
those of test images that were used for nothing. The interval of the gain is a 95 % one, paired by image.

| run | epoch | temperature | loss | loss after | gain | ECE | ECE after | accuracy | accuracy after |
|---|---|---|---|---|---|---|---|---|---|
"""


def predictions(trained: Trained) -> Predictions:
    """The predictions of the model for its validation images and for those that are in no part."""
    images, split = trained.prepared.images, trained.prepared.split
    used = torch.cat([split.train, split.validation])
    unused = torch.from_numpy(np.setdiff1d(np.arange(len(images)), used.numpy()))
    index = torch.cat([split.validation, unused])
    logits = torch.zeros(len(index), len(images.classes))
    with torch.no_grad(), eval_mode(trained.model):
        done = 0
        for batch, _ in trained.prepared.on(CPU)(index).in_order(256):
            logits[done : done + len(batch)] = trained.model(batch)
            done += len(batch)
    part = np.repeat(np.array([VALIDATION, TEST], np.uint8), [len(split.validation), len(unused)])
    return Predictions(part, index.numpy(), images.labels[index].numpy(), logits.numpy())


def row(run: str, epoch: str, evaluation: Evaluation, temperate: Evaluation) -> str:
    """A row of the table; `temperate` is the evaluation of the logits that are divided by the temperature."""
    c = evaluation.calibration
    low, high = c.gain_interval
    gain = f"{c.gain:.4f} ({low:.4f} to {high:.4f})"
    losses, errors = f"{c.loss:.4f} | {c.loss_after:.4f}", f"{c.ece:.3f} | {c.ece_after:.3f}"
    accuracies = f"{evaluation.scores.accuracy:.4f} | {temperate.scores.accuracy:.4f}"
    return f"| {run} | {epoch} | {c.temperature:.2f} | {losses} | {gain} | {errors} | {accuracies} |\n"


def rows(name: str, seed: int) -> list[str]:
    """The rows of a run: the best and the last epoch."""
    trained = train(SET_UPS[name], seed)
    last = row_of(trained, f"{name}, seed {seed}", f"last, {trained.fitted.epochs}")
    assert trained.fitted.best_weights is not None
    trained.model.load_state_dict(trained.fitted.best_weights)
    return [row_of(trained, f"{name}, seed {seed}", f"best, {trained.fitted.best_epoch}"), last]


def row_of(trained: Trained, run: str, epoch: str) -> str:
    """The row of the model as it is."""
    given = predictions(trained)
    evaluation = evaluate(given, TEST)
    divided = given.logits / np.float32(evaluation.calibration.temperature)
    return row(run, epoch, evaluation, evaluate(Predictions(given.part, given.index, given.label, divided), TEST))


def main() -> None:
    torch.set_num_threads(1)
    lines = [
        line
        for name, labels in LABELS.items()
        for seed, label in zip(SEEDS, labels, strict=True)
        if label is Verdict.OVERCONFIDENT
        for line in rows(name, seed)
    ]
    FILE.write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
