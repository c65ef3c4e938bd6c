"""The difference of two kinds of models over several pairs of them, image by image.

An image may be scored by several pairs. Its differences depend on each other, so the standard error is that of
clusters: Liang and Zeger, "Longitudinal data analysis using generalized linear models" (1986).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from service.core.evaluation.intervals import Interval
from service.core.evaluation.outcomes import Outcomes
from service.core.evaluation.paired import loss_differences


@dataclass(frozen=True)
class ByImage:
    """The mean difference of the losses in nats, negative is better, over `images` different images.

    The interval is over the images: another seed of the training is not in it.
    """

    images: int
    loss: float
    interval: Interval


def errors_by_image(pairs: Sequence[tuple[Outcomes, Outcomes]], level: float = 0.95) -> ByImage | None:
    """As `by_image`, with the loss of an image 1 if its guess is wrong and 0 if it is right."""
    return by_image([(_of_errors(first), _of_errors(second)) for first, second in pairs], level)


def by_image(pairs: Sequence[tuple[Outcomes, Outcomes]], level: float = 0.95) -> ByImage | None:
    """Second models minus first ones. None if a pair is of different images, or if there are fewer than two images.

    `level` is the confidence of the interval, above 0 and below 1.
    """
    differences = [loss_differences(first, second) for first, second in pairs]
    known = [each for each in differences if each is not None]
    if not known or len(known) < len(differences):
        return None
    losses = np.concatenate([each.loss for each in known])
    images, cluster = np.unique(np.concatenate([each.index for each in known]), return_inverse=True)
    if len(images) < 2:  # noqa: PLR2004 - one difference has no spread
        return None
    mean = float(losses.mean())
    sums = np.bincount(cluster, losses - mean)
    error = math.sqrt(float((sums**2).sum()) * len(images) / (len(images) - 1)) / len(losses)
    half = NormalDist().inv_cdf(0.5 + level / 2) * error
    return ByImage(len(images), mean, (mean - half, mean + half))


def _of_errors(images: Outcomes) -> Outcomes:
    return replace(images, loss=(~images.is_right).astype(np.float64))
