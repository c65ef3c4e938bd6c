"""The outcome of each image: what the model guessed and what the guess cost, computed in chunks of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.predictions import Predictions

CHUNK = 1 << 16  # logits that are float64 at one time: 512 KiB, which the cache of a core holds
LARGEST = float(np.finfo(np.float32).max)

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
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        columns: list[NDArray[np.generic]] = list(vars(self).values())
        return sum(column.nbytes for column in columns)

    @property
    def is_right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.guess == self.label
        return right


def outcomes(predictions: Predictions, temperature: Floats | float = 1.0) -> Outcomes:
    """The outcomes of all images; `temperature` is one number or one for each image, above 0."""
    images = len(predictions)
    sharpness = np.broadcast_to(1 / np.asarray(temperature, np.float64), images)
    columns = {name: np.empty(images) for name in ("loss", "confidence", "brier", "loss_after", "confidence_after")}
    scored = Outcomes(predictions.index, predictions.label, np.empty(images, np.int64), **columns)
    for rows, logits, ratios in chunks(predictions.logits):
        label = predictions.label[rows]
        scored.guess[rows] = logits.argmax(axis=1)
        np.subtract(logits, logits[np.arange(len(logits)), scored.guess[rows]][:, None], out=logits)
        scored.loss[rows], scored.confidence[rows] = _softmax(logits, label, ratios)
        squares = np.einsum("nk,nk->n", ratios, ratios) * scored.confidence[rows] ** 2
        scored.brier[rows] = squares - 2 * np.exp(-scored.loss[rows]) + 1
        np.multiply(logits, sharpness[rows, None], out=logits)
        scored.loss_after[rows], scored.confidence_after[rows] = _softmax(logits, label, ratios)
    return scored


def chunks(logits: NDArray[np.floating]) -> Iterator[tuple[slice, Floats, Floats]]:
    """The logits [N, K] as float64, a few rows at a time, and room for as many numbers. Both are overwritten by the
    next chunk. Infinite logits become finite, so that the results are.
    """
    images, classes = logits.shape
    step = max(1, CHUNK // max(1, classes))
    buffers = np.empty((2, min(step, images), classes))
    for start in range(0, images, step):
        rows = slice(start, min(start + step, images))
        chunk, room = buffers[:, : rows.stop - start]
        chunk[:] = logits[rows]
        if not np.isfinite(chunk).all():
            np.nan_to_num(chunk, copy=False, nan=-LARGEST, posinf=LARGEST, neginf=-LARGEST)
        yield rows, chunk, room


def _softmax(shifted: Floats, label: Integers, ratios: Floats) -> tuple[Floats, Floats]:
    """Loss and highest probability of each row of `shifted` [N, K], whose largest number is 0.

    `ratios` [N, K] gets the probabilities divided by the highest one.
    """
    np.exp(shifted, out=ratios)
    total = ratios @ np.ones(ratios.shape[1])
    return np.log(total) - shifted[np.arange(len(label)), label], 1 / total
