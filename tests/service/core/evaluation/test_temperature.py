import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from service.core.evaluation.calibration import Calibration, fit_temperature, summarize
from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import VALIDATION, Predictions
from tests.service.drawn import drawn


def calibrate(predictions: Predictions) -> Calibration:
    return evaluate(predictions, VALIDATION).calibration


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_of_drawn_labels_is_recovered(scale: float) -> None:
    predictions = drawn(20_000, 5, scale)
    assert fit_temperature(predictions.logits, predictions.label) == pytest.approx(scale, rel=0.03)


def test_the_temperature_minimizes_the_cross_entropy() -> None:
    predictions = drawn(50_000, 10, 3.0)

    def loss(sharpness: float) -> float:
        shares = log_softmax(predictions.logits.astype(float) * sharpness, axis=1)
        return -float(shares[np.arange(len(predictions)), predictions.label].mean())

    best = minimize_scalar(loss, bounds=(0.02, 20), method="bounded", options={"xatol": 1e-10})
    assert loss(1 / fit_temperature(predictions.logits, predictions.label)) == pytest.approx(best.fun, abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "label"), [(np.zeros((0, 3)), []), (np.ones((1, 3)), [2]), (np.ones((5, 1)), [0] * 5)]
)
def test_too_little_to_fit_leaves_the_logits_alone(logits: np.ndarray, label: list[int]) -> None:
    assert fit_temperature(logits, np.array(label, np.int64)) == 1.0


def test_a_model_without_a_mistake_does_not_become_certain() -> None:
    logits, label = 3 * np.eye(4)[np.arange(40) % 4], np.arange(40) % 4
    assert 0.3 < fit_temperature(logits, label) < 1


def test_few_images_without_a_mistake_do_not_sharpen_a_model() -> None:
    """A calibrated model that is right on 95 % of all images, fitted on 75 that it gets right."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 21, (20_000, 10))
    label = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    is_right = logits.argmax(axis=1) == label
    assert 0.94 < is_right.mean() < 0.96

    def loss(temperature: float) -> float:
        return -float(log_softmax(logits / temperature, axis=1)[np.arange(len(label)), label].mean())

    seen = np.flatnonzero(is_right)[:75]
    assert loss(fit_temperature(logits[seen], label[seen])) < 1.1 * loss(1.0)


def test_a_model_that_is_always_wrong_stays_in_the_bounds() -> None:
    logits, label = 1000 * np.eye(4)[np.arange(40) % 4], (np.arange(40) + 1) % 4
    assert fit_temperature(logits, label) == pytest.approx(50)


def test_the_gain_is_that_of_images_that_were_not_fitted() -> None:
    """Of a calibrated model the fitted temperature gains on average, the cross-fitted one loses."""
    gains = [calibrate(drawn(50, 3, seed=seed)).gain for seed in range(30)]
    assert np.mean(gains) < 0


def test_an_overconfident_model_gains() -> None:
    calibration = calibrate(drawn(2_000, 5, 4.0))
    assert calibration.gain_interval[0] > 0
    assert calibration.ece_after < 0.3 * calibration.ece


def test_a_summary_has_the_values_of_the_calibration() -> None:
    predictions = drawn(500, 5, 2.0)
    whole = calibrate(predictions)
    for name, value in vars(summarize(predictions)).items():
        assert value == pytest.approx(getattr(whole, name), rel=1e-12)
