"""torchmetrics as the reference of an evaluation. It computes in single precision."""

import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import VALIDATION, Predictions

SINGLE = 1e-5


def expect_scores_of_torchmetrics(predictions: Predictions) -> None:
    """Compare matrix, macro F1, balanced accuracy and ECE of the validation images; each class has an image."""
    validation = predictions.of(VALIDATION)
    shares = torch.softmax(torch.from_numpy(validation.logits).double(), 1)
    label, classes = torch.from_numpy(validation.label), shares.shape[1]
    found = evaluate(predictions, VALIDATION)
    assert found.scores.confusion.tolist() == multiclass_confusion_matrix(shares, label, classes).tolist()
    f1 = multiclass_f1_score(shares, label, classes, average="macro").item()
    assert found.scores.macro_f1 == pytest.approx(f1, abs=SINGLE)
    recall = multiclass_accuracy(shares, label, classes, average="macro").item()
    assert found.scores.balanced_accuracy == pytest.approx(recall, abs=SINGLE)
    below_one = shares.clamp(max=1 - SINGLE)  # torchmetrics has a bin of its own for exactly 1
    error = multiclass_calibration_error(below_one, label, classes, n_bins=15, norm="l1").item()
    assert found.calibration.ece == pytest.approx(error, abs=SINGLE)
