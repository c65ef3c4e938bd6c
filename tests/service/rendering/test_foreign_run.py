"""What early stopping would have done with a run from elsewhere, in words."""

import json

import pytest

from service.core.diagnosis.histories import read
from service.core.experiments.foreign_runs import KnownFacts, diagnose_reading, to_dict
from service.rendering.foreign_run import early_stopping, framework

UNKNOWN = "Without a finite validation loss, the effect of early stopping is unknown."


def said(losses: list[float | str], measure: str = "val_loss") -> str:
    rows = [{"epoch": at, measure: loss} for at, loss in enumerate(losses, start=1)]
    diagnosis = diagnose_reading(read(json.dumps({"epochs": rows}).encode()), KnownFacts())
    return early_stopping(to_dict(diagnosis)["counterfactual"])


def test_rise_after_the_best_epoch_is_saved() -> None:
    sentence = said([1.0, 0.8, 0.7, *(0.7 + 0.1 * at for at in range(1, 10))])
    assert "a patience of 1 to 5 would have kept the same best epoch 3" in sentence
    assert "ended the run at epoch 4 to 8 instead of 12." in sentence


def test_steady_fall_leaves_nothing_to_save() -> None:
    assert "the best epoch 8 of 8 is too near its end" in said([1 / at for at in range(1, 9)])


def test_early_end_that_costs_is_priced() -> None:
    sentence = said([1.0, 0.9, 0.95, 0.5, 0.6])
    assert "a patience of 1 ends the run at epoch 3, before the best epoch 4 of 5, with a loss that is 0.4" in sentence


def test_missing_and_infinite_validation_losses_are_said() -> None:
    assert said([1.0, 0.5], "train_loss") == said(["nan", "nan"]) == UNKNOWN


@pytest.mark.parametrize(
    ("source", "known"),
    [("Keras CSVLogger", "keras"), ("Lightning metrics.csv", "lightning"), ("timm summary.csv", "timm")],
)
def test_format_tells_the_framework(source: str, known: str) -> None:
    assert framework(source) == known
    assert framework("log") == "pytorch"
