"""Short histories for tests of the rules: columns of numbers, as people post them."""

import math
from collections.abc import Sequence

from service.core.diagnosis import Diagnosis, diagnose
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts

Column = Sequence[float | None] | float | None


def history(
    train: Column = None,
    val: Column = None,
    accuracy: Column = None,
    seen: Column = None,
    clean: Column = None,
    se: float | None = None,
) -> list[Epoch]:
    """Epochs from columns: training and validation loss, validation and training accuracy, clean training loss.

    A number counts for each epoch; `se` is the paired standard error of validation loss.
    """
    count = max(len(column) for column in (train, val) if isinstance(column, Sequence))
    columns = [
        column if isinstance(column, Sequence) else [column] * count for column in (train, clean, val, seen, accuracy)
    ]
    rows = zip(*columns, strict=True)
    return [_epoch(number, row, se) for number, row in enumerate(rows, start=1)]


def _epoch(number: int, row: tuple[float | None, ...], se: float | None) -> Epoch:
    names = ("train_loss", "train_loss_clean", "val_loss", "train_accuracy", "val_accuracy")
    unmeasured = {"penalty": None, "lr": 1e-3, "seconds": 1.0, "images_per_second": 1.0}
    stopping = {"improved": False, "epochs_without_improvement": 0, "val_change_se": se, "val_loss_se": se}
    return Epoch.measured({"epoch": number, **dict(zip(names, row, strict=True)), **unmeasured, **stopping})


def diagnosed(epochs: Sequence[Epoch], classes: int, images: int = 1000) -> Diagnosis:
    """The diagnosis of an ended run with equally frequent classes."""
    facts = Facts({"train": 4 * images, "validation": images}, math.log(classes), 1 / classes)
    return diagnose(epochs, facts=facts, stop_reason="max_epochs")
