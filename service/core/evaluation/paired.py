"""Two models on the same images: the difference of their losses and of their accuracies, image by image.

McNemar, "Note on the sampling error of the difference between correlated proportions or percentages" (1947), in its
exact form: Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data" (2013). Interval of the
accuracies: Bonett and Price, "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on
Paired Data" (2012). Number of images: Cohen, "Statistical Power Analysis for the Behavioral Sciences" (1988).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.intervals import Interval, Z
from service.core.evaluation.outcomes import Floats, Integers, Outcomes

POWER_Z = 0.8416212335729143  # 80 % of a standard normal distribution lies below


@dataclass(frozen=True)
class McNemar:
    """The images that only one of two models gets right: the second one (`gained`) or the first one (`lost`).

    `p_value` is the probability of at least such a difference if both are right equally often.
    """

    gained: int
    lost: int
    p_value: float


@dataclass(frozen=True)
class Paired:
    """The second of two models minus the first one, on the same images.

    `loss` is the mean difference of the cross entropies in nats, negative is better, `accuracy` the difference of the
    shares of right guesses. Intervals are 95 % ones over the images: another seed of the training is not in them.
    """

    images: int
    loss: float
    standard_error: float
    interval: Interval
    accuracy: float
    accuracy_standard_error: float
    accuracy_interval: Interval
    mcnemar: McNemar


@dataclass(frozen=True)
class Differences:
    """Two models on the same N images, in the order of `index`. `loss` is the second loss minus the first one."""

    index: Integers
    loss: Floats
    was_right: NDArray[np.bool_]
    is_right: NDArray[np.bool_]


def loss_differences(first: Outcomes, second: Outcomes) -> Differences | None:
    """The differences of two models by image, None if the images or their labels differ."""
    if len(first) != len(second):
        return None
    one, other = np.argsort(first.index), np.argsort(second.index)
    if not np.array_equal(first.index[one], second.index[other]):
        return None
    if not np.array_equal(first.label[one], second.label[other]):
        return None
    losses = second.loss[other] - first.loss[one]
    return Differences(first.index[one], losses, first.is_right[one], second.is_right[other])


def paired(first: Outcomes, second: Outcomes) -> Paired | None:
    """Compare two models on the raw losses of at least two images, None if the images or their labels differ."""
    found = loss_differences(first, second)
    if found is None or len(found.loss) < 2:  # noqa: PLR2004 - one difference has no spread
        return None
    losses, was_right, is_right = found.loss, found.was_right, found.is_right
    loss, error = float(losses.mean()), float(losses.std(ddof=1)) / math.sqrt(len(losses))
    gained, lost = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
    return Paired(
        images=len(losses),
        loss=loss,
        standard_error=error,
        interval=(loss - Z * error, loss + Z * error),
        accuracy=(gained - lost) / len(losses),
        accuracy_standard_error=_standard_error(gained, lost, len(losses)),
        accuracy_interval=_adjusted_interval(gained, lost, len(losses)),
        mcnemar=McNemar(gained, lost, exact_p_value(gained, lost)),
    )


def exact_p_value(gained: int, lost: int) -> float:
    """The two-sided probability that a fair coin, thrown `gained` + `lost` times, falls at least so unevenly."""
    total, fewer = gained + lost, min(gained, lost)
    heads = np.arange(1, fewer + 1)
    logs = np.concatenate(([0.0], np.cumsum(np.log((total - heads + 1) / heads)))) - total * math.log(2)
    return min(1.0, 2 * float(np.exp(logs).sum()))


def images_needed(images: int, difference: float, standard_error: float) -> int | None:
    """The number of images with which a 95 % interval leaves out zero in four of five samples, if the true difference
    is the one that was observed on `images`. None without a difference, or if its error is 0.
    """
    if not difference or not standard_error:
        return None
    return math.ceil(images * ((Z + POWER_Z) * standard_error / difference) ** 2)


def _standard_error(gained: float, lost: float, images: float) -> float:
    """Of the difference of two shares of the same images."""
    return math.sqrt(max(0.0, gained + lost - (gained - lost) ** 2 / images)) / images


def _adjusted_interval(gained: int, lost: int, images: int) -> Interval:
    """The Wald interval with one more image on each side, which holds its level for few images too."""
    middle = (gained - lost) / (images + 2)
    half = Z * _standard_error(gained + 1, lost + 1, images + 2)
    return max(-1.0, middle - half), min(1.0, middle + half)
