"""The outcome of each image: what the model guessed and what the guess cost, computed in chunks of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.predictions import Predictions

CHUNK = 1 << 16  # logits that are float64 at one time: 512 KiB, about the second-level cache of a core

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """One value for each of N images.

    `guess` int64 is the most probable class, the first of equal ones. `loss` float64 is the cross entropy in nats,
    `confidence` the probability of the guess, `brier` the sum over the classes of (probability - truth)^2, from 0 to 2.
    `loss_after` and `confidence_after` are the same with the logits divided by the temperature.
    """

    index: Integers
    label: Integers
    guess: Integers
    loss: Floats
    confidence: Floats
    brier: Floats
    loss_after: Floats
    confidence_after: Floats

    def __len__(self) -> int:
        """The number of images."""
        return len(self.label)

    @property
    def is_right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.guess == self.label
        return right


def outcomes(predictions: Predictions, temperature: Floats | float = 1.0) -> Outcomes:
    """The outcomes of all images; `temperature` is one number or one for each image, above 0."""
    images = len(predictions)
    sharpness = np.broadcast_to(1 / np.asarray(temperature, np.float64), images)
    guess = np.empty(images, np.int64)
    columns = {name: np.empty(images) for name in ("loss", "confidence", "brier", "loss_after", "confidence_after")}
    for rows, logits in chunks(predictions.logits):
        label = predictions.label[rows]
        guess[rows] = logits.argmax(axis=1)
        shifted = logits - logits[np.arange(len(logits)), guess[rows]][:, None]
        loss, confidence, ratios = _softmax(shifted, label)
        columns["loss"][rows], columns["confidence"][rows] = loss, confidence
        columns["brier"][rows] = np.einsum("nk,nk->n", ratios, ratios) * confidence**2 - 2 * np.exp(-loss) + 1
        shifted *= sharpness[rows, None]
        columns["loss_after"][rows], columns["confidence_after"][rows], _ = _softmax(shifted, label)
    return Outcomes(predictions.index, predictions.label, guess, **columns)


def chunks(logits: NDArray[np.floating]) -> Iterator[tuple[slice, Floats]]:
    """The logits [N, K] as float64, a few rows at a time. Infinite ones become finite, so that the results are."""
    step = max(1, CHUNK // max(1, logits.shape[1]))
    for start in range(0, len(logits), step):
        rows = slice(start, start + step)
        chunk = logits[rows].astype(np.float64)
        if not np.isfinite(chunk).all():
            limit = float(np.finfo(np.float32).max)
            chunk = np.nan_to_num(chunk, nan=-limit, posinf=limit, neginf=-limit)
        yield rows, chunk


def _softmax(shifted: Floats, label: Integers) -> tuple[Floats, Floats, Floats]:
    """Loss and highest probability of each row, and the probabilities divided by the highest one.

    `shifted` [N, K] has 0 as the largest number of each row.
    """
    ratios = np.exp(shifted)
    total = ratios @ np.ones(ratios.shape[1])
    return np.log(total) - shifted[np.arange(len(label)), label], 1 / total, ratios
