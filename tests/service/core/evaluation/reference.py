"""scikit-learn as the reference of an evaluation."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import VALIDATION, Predictions

EXACT = 1e-12


def expect_scores_of_scikit_learn(predictions: Predictions) -> None:
    """Compare matrix and scores of the validation images; macro F1 and balanced accuracy are over all classes."""
    validation = predictions.of(VALIDATION)
    label, guess = validation.label, validation.logits.argmax(axis=1)
    classes = range(validation.logits.shape[1])
    scores = evaluate(predictions, VALIDATION).scores
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(label, guess, labels=classes))
    assert scores.accuracy == pytest.approx(accuracy_score(label, guess), abs=EXACT)
    columns = precision_recall_fscore_support(label, guess, labels=classes, zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        np.testing.assert_allclose([getattr(score, name) for score in scores.per_class], column, atol=EXACT)
    assert scores.balanced_accuracy == pytest.approx(columns[1].mean(), abs=EXACT)
    assert scores.macro_f1 == pytest.approx(columns[2].mean(), abs=EXACT)


def expect_calibration_of_scikit_learn(predictions: Predictions) -> None:
    """Compare loss, Brier score and reliability diagram of the validation images, and ECE with its definition."""
    validation = predictions.of(VALIDATION)
    label, shares = validation.label, softmax(validation.logits.astype(np.float64), axis=1)
    classes = range(shares.shape[1])
    calibration = evaluate(predictions, VALIDATION).calibration
    assert calibration.loss == pytest.approx(log_loss(label, np.clip(shares, 1e-300, 1), labels=classes), abs=EXACT)
    brier = brier_score_loss(label, shares, labels=classes, scale_by_half=False)
    assert calibration.brier == pytest.approx(brier, abs=EXACT)
    accuracies, confidences = calibration_curve(shares.argmax(axis=1) == label, shares.max(axis=1), n_bins=15)
    filled = [each for each in calibration.bins if each.images]
    assert [each.accuracy for each in filled] == pytest.approx(accuracies, abs=EXACT)
    assert [each.confidence for each in filled] == pytest.approx(confidences, abs=EXACT)
    weights = np.array([each.images for each in filled]) / len(label)
    assert calibration.ece == pytest.approx((weights * np.abs(accuracies - confidences)).sum(), abs=EXACT)
