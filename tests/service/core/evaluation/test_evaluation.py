"""The evaluation against scikit-learn, and against its definitions where scikit-learn has none."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, load
from service.core.evaluation.scores import confused
from tests.service.drawn import drawn

RUNS = [(400, 2, 1.0), (500, 4, 6.0), (1_000, 10, 0.2), (3_000, 37, 2.0)]


def probabilities(predictions: Predictions) -> np.ndarray:
    exponentials = np.exp(predictions.logits.astype(np.float64))
    shares: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize(("images", "classes", "scale"), RUNS)
def test_the_scores_are_those_of_scikit_learn(images: int, classes: int, scale: float) -> None:
    predictions = drawn(images, classes, scale)
    label, guess = predictions.label, predictions.logits.argmax(axis=1)
    found = evaluate(predictions, VALIDATION).scores
    np.testing.assert_array_equal(found.confusion, confusion_matrix(label, guess, labels=range(classes)))
    assert found.accuracy == pytest.approx(accuracy_score(label, guess), abs=1e-12)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(label, guess), abs=1e-12)
    columns = precision_recall_fscore_support(label, guess, labels=range(classes), zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        np.testing.assert_allclose([getattr(score, name) for score in found.per_class], column, atol=1e-12)
    assert found.macro_f1 == pytest.approx(columns[2].mean(), abs=1e-12)


@pytest.mark.parametrize(("images", "classes", "scale"), RUNS)
def test_loss_brier_and_ece_follow_their_definitions(images: int, classes: int, scale: float) -> None:
    predictions = drawn(images, classes, scale)
    shares, label = probabilities(predictions), predictions.label
    found = evaluate(predictions, VALIDATION).calibration
    assert found.loss == pytest.approx(log_loss(label, shares, labels=range(classes)), abs=1e-12)
    multiclass = {"labels": range(classes), "scale_by_half": False}
    assert found.brier == pytest.approx(brier_score_loss(label, shares, **multiclass), abs=1e-12)
    confidence, is_right = shares.max(axis=1), shares.argmax(axis=1) == label
    accuracies, confidences = calibration_curve(is_right, confidence, n_bins=15)
    filled = [each for each in found.bins if each.images]
    assert [each.accuracy for each in filled] == pytest.approx(accuracies, abs=1e-12)
    assert [each.confidence for each in filled] == pytest.approx(confidences, abs=1e-12)
    weights = np.array([each.images for each in filled]) / images
    assert found.ece == pytest.approx((weights * np.abs(accuracies - confidences)).sum(), abs=1e-12)


def test_classes_without_images_count_as_zero() -> None:
    predictions = Predictions(np.zeros(2, np.uint8), np.arange(2), np.array([0, 0]), np.eye(2, 3, dtype=np.float32))
    found = evaluate(predictions, VALIDATION).scores
    assert found.balanced_accuracy == pytest.approx(0.5 / 3)
    assert found.macro_f1 == pytest.approx(2 / 3 / 3)
    assert found.per_class[2].recall_interval == (0, 1)


def test_intervals_hold_the_true_values_19_times_in_20() -> None:
    truth = evaluate(drawn(60_000, 3, 2.0), VALIDATION)
    samples = [evaluate(drawn(600, 3, 2.0, seed), VALIDATION) for seed in range(1, 61)]
    of_loss = [sample.calibration.loss_interval for sample in samples]
    of_brier = [sample.calibration.brier_interval for sample in samples]
    of_accuracy = [sample.scores.accuracy_interval for sample in samples]
    for intervals, value in (
        (of_loss, truth.calibration.loss),
        (of_brier, truth.calibration.brier),
        (of_accuracy, truth.scores.accuracy),
    ):
        assert 0.9 <= np.mean([low <= value <= high for low, high in intervals]) <= 1


def test_test_images_have_the_temperature_of_the_others() -> None:
    validation, test = drawn(2_000, 4, 3.0), drawn(1_000, 4, 3.0, seed=1, part=TEST)
    both = Predictions(
        *(np.concatenate(pair) for pair in zip(vars(validation).values(), vars(test).values(), strict=True))
    )
    found = evaluate(both, TEST).calibration
    assert found.temperature == evaluate(both, VALIDATION).calibration.temperature
    shares = probabilities(Predictions(test.part, test.index, test.label, test.logits / np.float32(found.temperature)))
    assert found.loss_after == pytest.approx(log_loss(test.label, shares, labels=range(4)), abs=1e-5)
    assert found.gain_interval[0] > 0


def test_mistakes_are_sorted_by_loss_and_restricted_to_a_cell() -> None:
    predictions = drawn(500, 3)
    evaluation = evaluate(predictions, VALIDATION)
    loss, confusion = evaluation.outcomes.loss, evaluation.scores.confusion
    everything = evaluation.mistakes(500)
    assert len(everything) == confusion.sum() - np.trace(confusion)
    assert (np.diff(loss[everything]) <= 0).all()
    assert evaluation.mistakes(5).tolist() == everything[:5].tolist()
    cell = evaluation.mistakes(500, label=2, guess=1)
    assert len(cell) == confusion[2, 1]
    assert set(predictions.label[cell]) == {2}
    assert len(evaluation.mistakes(500, guess=1)) == confusion[0, 1] + confusion[2, 1]
    assert len(evaluation.mistakes(500, label=1, guess=1)) == confusion[1, 1]


def test_guessing_is_scored_like_a_model() -> None:
    predictions = drawn(300, 4)
    baseline = evaluate(predictions, VALIDATION).baseline
    shares = np.bincount(predictions.label) / 300
    logits = np.tile(np.log(shares), (300, 1)).astype(np.float32)
    guessing = evaluate(Predictions(predictions.part, predictions.index, predictions.label, logits), VALIDATION)
    assert baseline.label == shares.argmax()
    assert baseline.accuracy == pytest.approx(guessing.scores.accuracy)
    assert baseline.macro_f1 == pytest.approx(guessing.scores.macro_f1)
    assert baseline.balanced_accuracy == pytest.approx(guessing.scores.balanced_accuracy)
    assert baseline.loss == pytest.approx(guessing.calibration.loss, abs=1e-6)


def test_the_most_confused_pairs_come_first() -> None:
    confusion = np.array([[9, 2, 0], [5, 9, 0], [0, 1, 9]])
    assert confused(confusion, 2) == [(1, 0, 5), (0, 1, 2)]
    assert confused(confusion, 50) == [(1, 0, 5), (0, 1, 2), (2, 1, 1)]


def test_infinite_logits_have_finite_scores() -> None:
    predictions = drawn(50, 3)
    predictions.logits[:3] = [[np.inf, 0, 0], [np.nan, 0, 0], [-np.inf, 0, 0]]
    found = evaluate(predictions, VALIDATION).calibration
    assert np.isfinite([found.loss, found.loss_after, found.brier, found.ece]).all()


@pytest.mark.parametrize("images", [1, 2, 7])
def test_a_few_images_can_be_evaluated(images: int) -> None:
    found = evaluate(drawn(images, 3), VALIDATION)
    assert sum(each.images for each in found.calibration.bins) == images


def test_memory_is_bounded_for_large_sets(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    with path.open("wb") as file:
        drawn(20_000, 500).save(file)
    tracemalloc.start()
    try:
        predictions = load(path)
        path.unlink()
        evaluate(predictions, VALIDATION)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert predictions.logits.nbytes == 40_000_000
    assert peak < 60_000_000  # independent of the size of the file; whole arrays of float64 need 80 MB each
