"""The evaluation against scikit-learn, and against its definitions where scikit-learn has none."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, load
from service.core.evaluation.scores import confused
from tests.golden.runs import SET_UPS, train
from tests.golden.temperatures import predictions as predictions_of
from tests.service.core.evaluation.reference import (
    expect_calibration_of_scikit_learn,
    expect_scores_of_scikit_learn,
)
from tests.service.core.evaluation.torchmetrics_reference import expect_scores_of_torchmetrics
from tests.service.drawn import drawn

RUNS = [(400, 2, 1.0), (500, 4, 6.0), (1_000, 10, 0.2), (3_000, 37, 2.0)]


@pytest.mark.parametrize(("images", "classes", "scale"), RUNS)
def test_scores_and_calibration_are_those_of_other_tools(images: int, classes: int, scale: float) -> None:
    predictions = drawn(images, classes, scale)
    expect_scores_of_scikit_learn(predictions)
    expect_calibration_of_scikit_learn(predictions)
    expect_scores_of_torchmetrics(predictions)


@pytest.mark.parametrize("name", ["three_epochs", *(pytest.param(name, marks=pytest.mark.long) for name in SET_UPS)])
def test_golden_runs_have_the_scores_of_other_tools(name: str) -> None:
    trained = train(SET_UPS[name], 1)
    if trained.fitted.best_weights is None:
        pytest.skip("no epoch was finite")
    trained.model.load_state_dict(trained.fitted.best_weights)
    expect_scores_of_scikit_learn(predictions_of(trained))
    expect_calibration_of_scikit_learn(predictions_of(trained))
    expect_scores_of_torchmetrics(predictions_of(trained))


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
    shares = softmax(test.logits.astype(np.float64) / found.temperature, axis=1)
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
