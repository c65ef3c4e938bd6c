"""Predictions drawn at random, as a model with known confidence would make them."""

import numpy as np

from service.core.evaluation.predictions import VALIDATION, Predictions


def drawn(
    images: int = 400, classes: int = 4, scale: float = 1.0, seed: int = 0, part: int = VALIDATION
) -> Predictions:
    """Labels drawn from softmax(logits / scale): `scale` is the temperature at which the logits are calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (images, classes))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (shares.cumsum(axis=1) < rng.random((images, 1))).sum(axis=1)
    return Predictions(
        part=np.full(images, part, np.uint8),
        index=rng.permutation(images).astype(np.int64),
        label=label.astype(np.int64),
        logits=(logits * scale).astype(np.float32),
    )
