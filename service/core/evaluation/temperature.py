"""The temperature: one number that divides the logits of a model so that its probabilities are right on average.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017). No guess changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.outcomes import Floats, Integers, chunks
from service.core.evaluation.predictions import Predictions

FOLDS = 5
LOWEST, HIGHEST = 0.05, 50.0
MOST_LOGITS = 2_000_000  # that a fit reads: each step of it takes 10 ms
MOST_STEPS = 60
PRECISION = 1e-8  # of 1 / temperature, relative


def fit_temperature(logits: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """The temperature T, from 0.05 to 50, that minimizes the mean cross entropy of softmax(logits / T).

    `logits` [N, K], `label` [N] from 0 to K - 1. One more image is assumed whose guess is wrong, where the model itself
    expects its mistakes: a model that is right on few images makes mistakes on others (Laplace's rule of succession).
    1.0 for fewer than two images or classes. Of larger sets about MOST_LOGITS logits are used, evenly chosen.
    """
    if min(logits.shape) < 2:  # noqa: PLR2004
        return 1.0
    step = _step(logits)
    return 1 / _Sample.of(logits[::step], label[::step]).minimum()


def crossed_temperatures(predictions: Predictions) -> tuple[float, Floats]:
    """The temperature of `fit_temperature`, and for each image that of the images of the other folds, float64 [N]."""
    if min(predictions.logits.shape) < 2:  # noqa: PLR2004
        return 1.0, np.ones(len(predictions))
    fold, step = folds(predictions), _step(predictions.logits)
    sample, chosen = _Sample.of(predictions.logits[::step], predictions.label[::step]), fold[::step]
    whole = sample.minimum()
    fitted = [1 / sample.take(chosen != k).minimum(whole) for k in range(FOLDS)]
    return 1 / whole, np.array(fitted)[fold]


def folds(predictions: Predictions) -> Integers:
    """The fold of each image, from 0 to FOLDS - 1: of each class the images in the order of their index, in turn."""
    order = np.lexsort((predictions.index, predictions.label))
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    return fold


def _step(logits: NDArray[np.floating]) -> int:
    """Every how many images one is used."""
    return max(1, -(-logits.size // MOST_LOGITS))


@dataclass(frozen=True)
class _Sample:
    """The images of a fit. `shifted` [N, K] are the logits minus the largest of their row, `own` [N] that of the label,
    `expected` [N] the mean one at temperature 1, and `doubt` [N] the probability that the guess is wrong there.
    """

    shifted: Floats
    own: Floats
    expected: Floats
    doubt: Floats

    @classmethod
    def of(cls, logits: NDArray[np.floating], label: NDArray[np.integer]) -> "_Sample":
        shifted = np.empty(logits.shape)
        for rows, chunk, _ in chunks(logits):
            np.subtract(chunk, chunk.max(axis=1, keepdims=True), out=shifted[rows])
        doubt = 1 - 1 / np.exp(shifted).sum(axis=1)
        return cls(shifted, shifted[np.arange(len(label)), label], _moments(shifted, 1.0)[0], doubt)

    def take(self, rows: NDArray[np.bool_]) -> "_Sample":
        return _Sample(*(each[rows] for each in (self.shifted, self.own, self.expected, self.doubt)))

    @property
    def mistake(self) -> float:
        """The expected logit of the label, minus the largest one, where the guess is wrong."""
        doubt = float(self.doubt.sum())
        return float(self.expected.sum()) / doubt if doubt else 0.0

    def minimum(self, start: float = 1.0) -> float:
        """The b = 1 / T of the lowest cross entropy, where its slope is 0: the expected logits are those of the labels.

        The cross entropy is convex in b. Newton's steps that leave the known bounds are replaced by bisection.
        """
        target = (self.own.sum() + self.mistake) / (len(self.own) + 1)
        low, high, b = 1 / HIGHEST, 1 / LOWEST, start
        for _ in range(MOST_STEPS):
            mean, variance = (float(moment.mean()) for moment in _moments(self.shifted, b))
            slope = mean - target
            if abs(slope) <= PRECISION * variance * b:
                break
            low, high = (b, high) if slope < 0 else (low, b)
            newton = b - slope / variance if variance > 0 else high
            b = newton if low < newton < high else (low + high) / 2
        return b


def _moments(shifted: Floats, b: float) -> tuple[Floats, Floats]:
    """Of each image the expected logit and the variance of the logits, under softmax(b * logits)."""
    means, variances, ones = np.empty(len(shifted)), np.empty(len(shifted)), np.ones(shifted.shape[1])
    for rows, sharpened, weights in chunks(shifted):
        np.exp(np.multiply(sharpened, b, out=sharpened), out=weights)
        total = weights @ ones
        np.multiply(weights, shifted[rows], out=weights)
        means[rows] = (weights @ ones) / total
        variances[rows] = np.einsum("nk,nk->n", weights, shifted[rows]) / total - means[rows] ** 2
    return means, np.maximum(variances, 0)
