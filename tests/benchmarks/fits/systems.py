"""What the comparison compares: each system gets the same images and minutes, and answers with probabilities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.fits.sets import ImageSet

Json = dict[str, Any]
Probabilities = NDArray[np.float32]  # [N, classes]

LEAST_PROBABILITY = 1e-12  # as in a loss that is computed from float32 logits


@dataclass(frozen=True)
class Budget:
    """The minutes of wall time that a system has, and its seed."""

    minutes: float
    seed: int


@dataclass(frozen=True)
class Answer:
    """The probabilities of the test images by the model that a system chose, its validation loss, and what it did.

    `others` are those of what it offers beside that model, by name.
    """

    probabilities: Probabilities
    val_loss: float
    details: Json
    others: Mapping[str, Probabilities] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """Mean cross entropy in nats, and the share of right answers."""

    loss: float
    accuracy: float


System = Callable[[ImageSet, Budget], Answer]


def score(probabilities: Probabilities, labels: NDArray[np.int64]) -> Score:
    """The score of probabilities [N, classes] for labels [N]."""
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    loss = -np.log(np.maximum(own, LEAST_PROBABILITY)).mean()
    return Score(float(loss), float((probabilities.argmax(1) == labels).mean()))
