"""Histories that a program holds, diagnosed without a service."""

import math
import time
from typing import Any

import pytest

from service.core.errors import Invalid
from service.core.experiments.foreign_runs import diagnose_history

VALIDATION = [max(0.6, 1 - at / 10) + 0.05 * max(0, at - 5) for at in range(20)]
TRAINING = [2 * 0.75**at for at in range(20)]


def test_epochs_and_columns_are_read_alike() -> None:
    pairs = zip(TRAINING, VALIDATION, strict=True)
    rows = [{"epoch": at, "loss": train, "val_loss": val} for at, (train, val) in enumerate(pairs, start=1)]
    of_rows = diagnose_history(rows, classes=10)
    of_columns = diagnose_history({"loss": TRAINING, "val_loss": VALIDATION}, classes=10)
    assert of_rows["read"]["epochs"] == of_columns["read"]["epochs"] == 20
    assert of_rows["summary"] == of_columns["summary"]
    assert "classes" not in {one["what"] for one in of_rows["missing"]}


def test_losses_that_are_not_finite_are_read() -> None:
    rows = [{"loss": loss, "val_loss": loss} for loss in (1.0, 0.9, math.inf, math.nan)]
    assert diagnose_history(rows)["verdict"] == "diverged"


def test_columns_and_run_are_chosen() -> None:
    rows = [{"id": run, "nll": loss} for run in "pq" for loss in VALIDATION]
    answer = diagnose_history(rows, columns={"run": "id", "val_loss": "nll"}, run="q")
    assert answer["read"]["columns"] == {"run": "id", "val_loss": "nll"}


def test_what_is_no_history_is_refused() -> None:
    with pytest.raises(Invalid, match="empty"):
        diagnose_history([])
    with pytest.raises(Invalid, match="no column has the name of a loss"):
        diagnose_history([{"epoch": 1, "score": 2}])


@pytest.mark.parametrize(
    "facts", [{"classes": 0}, {"train_images": 10**13}, {"validation_images": 10**400}, {"label_counts": (5, -1)}]
)
def test_counts_out_of_range_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="out of range"):
        diagnose_history({"loss": TRAINING}, **facts)


def test_a_set_of_many_classes_is_diagnosed_at_once() -> None:
    began = time.thread_time()
    diagnose_history({"loss": TRAINING}, label_counts=(10**12,) * 100_000)
    assert time.thread_time() - began < 2, "seconds; a minute when each class sums all counts"
