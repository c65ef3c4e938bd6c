"""The temperature: one number that divides the logits of a model so that its probabilities are right on average.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017). No guess changes.
"""

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.outcomes import CHUNK, Floats, Integers, chunks
from service.core.evaluation.predictions import Predictions

FOLDS = 5
LOWEST, HIGHEST = 0.05, 50.0
MOST_LOGITS = 4_000_000  # that a fit reads: each step of it takes 20 ms
MOST_STEPS = 60
PRECISION = 1e-10  # of 1 / temperature, relative


def fit_temperature(logits: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """The temperature T, from 0.05 to 50, that minimizes the mean cross entropy of softmax(logits / T).

    `logits` [N, K], `label` [N] from 0 to K - 1. The belief that T is 1 has the weight of one image; without it T would
    be 0 where every image is right. 1.0 for fewer than two images or classes. Of larger sets about MOST_LOGITS logits
    are used, evenly chosen.
    """
    if min(logits.shape) < 2:  # noqa: PLR2004
        return 1.0
    step = _step(logits)
    shifted, own = _shifted(logits[::step], label[::step])
    images = len(shifted)
    target = (images * own + _moments(shifted, 1.0)[0]) / (images + 1)
    return 1 / _minimum(shifted, target)


def crossed_temperatures(predictions: Predictions) -> Floats:
    """For each image the temperature that is fitted on the images of the other folds, float64 [N]."""
    fold = folds(predictions)
    step = _step(predictions.logits)
    logits, label, chosen = predictions.logits[::step], predictions.label[::step], fold[::step]
    fitted = [fit_temperature(logits[chosen != k], label[chosen != k]) for k in range(FOLDS)]
    crossed: Floats = np.array(fitted)[fold]
    return crossed


def folds(predictions: Predictions) -> Integers:
    """The fold of each image, from 0 to FOLDS - 1: of each class the images in the order of their index, in turn."""
    order = np.lexsort((predictions.index, predictions.label))
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    return fold


def _step(logits: NDArray[np.floating]) -> int:
    """Every how many images one is used."""
    return max(1, -(-logits.size // MOST_LOGITS))


def _shifted(logits: NDArray[np.floating], label: NDArray[np.integer]) -> tuple[Floats, float]:
    """The logits minus the largest of their row, and the mean of those of the labels."""
    shifted = np.empty(logits.shape)
    for rows, chunk in chunks(logits):
        np.subtract(chunk, chunk.max(axis=1, keepdims=True), out=shifted[rows])
    return shifted, float(shifted[np.arange(len(label)), label].mean())


def _minimum(shifted: Floats, target: float) -> float:
    """The b = 1 / T at which the mean expected logit is `target`: there the slope of the cross entropy is 0.

    The cross entropy is convex in b. Newton's steps that leave the known bounds are replaced by bisection.
    """
    low, high, b = 1 / HIGHEST, 1 / LOWEST, 1.0
    for _ in range(MOST_STEPS):
        mean, variance = _moments(shifted, b)
        slope = mean - target
        if abs(slope) <= PRECISION * variance * b:
            break
        low, high = (b, high) if slope < 0 else (low, b)
        newton = b - slope / variance if variance > 0 else high
        b = newton if low < newton < high else (low + high) / 2
    return b


def _moments(shifted: Floats, b: float) -> tuple[float, float]:
    """The mean over the images of the expected logit and of the variance of the logits, under softmax(b * logits)."""
    step = max(1, CHUNK // shifted.shape[1])
    means, variances = 0.0, 0.0
    for start in range(0, len(shifted), step):
        logits = shifted[start : start + step]
        weights = np.exp(b * logits)
        total = weights.sum(axis=1)
        weights *= logits
        mean = weights.sum(axis=1) / total
        square = np.einsum("nk,nk->n", weights, logits) / total
        means += float(mean.sum())
        variances += float((square - mean * mean).sum())
    return means / len(shifted), max(0.0, variances / len(shifted))
