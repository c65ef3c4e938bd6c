"""The kept images whose logits are most like those of another picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.predictions import Predictions

LEAST_NORM = 1e-12  # of centered logits; shorter ones count as this long


def most_similar(kept: Predictions, logits: Sequence[float], most: int) -> list[tuple[int, float]]:
    """(row, similarity) of at most `most` images, the most similar first.

    The similarity, -1 to 1, is the cosine between the logits, each minus its mean: softmax does not see that mean.
    """
    others, own = _centered(kept.logits), _centered(np.asarray(logits, np.float32)[None])[0]
    cosines = others @ own
    rows = np.argsort(-cosines, kind="stable")[:most]
    return [(int(row), float(cosines[row])) for row in rows]


def _centered(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits [N, K] with mean 0 and length 1."""
    centered = logits - logits.mean(axis=1, keepdims=True)
    lengths = np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), LEAST_NORM)
    unit: NDArray[np.float32] = centered / lengths
    return unit
