"""The test of Mann (1945) and Kendall (1955): whether values rise or fall more steadily than chance has it.

Only the order of the values counts, so the test knows no unit, and a single wild value hardly moves it.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from statistics import NormalDist

from service.core.diagnosis.measures import blocks

MOST_EXACT = 12  # points; beyond them the score is nearly normal


def rising_chance(values: Sequence[float]) -> float:
    """The probability, from 0 to 1, that values in random order rise at least as steadily as these. 1 without pairs."""
    points = blocks(values)
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(points, 2))
    if len(points) <= MOST_EXACT:
        return _exact(len(points), score)
    return _normal(points, score)


def falling_chance(values: Sequence[float]) -> float:
    """The probability, from 0 to 1, that values in random order fall at least as steadily as these."""
    return rising_chance([-value for value in values])


def _exact(count: int, score: int) -> float:
    """P(S >= score) over all orders of `count` different values."""
    pairs = count * (count - 1) // 2
    orders = _inversions(count)
    return sum(orders[: (pairs - score) // 2 + 1]) / sum(orders)


@cache
def _inversions(count: int) -> tuple[int, ...]:
    """The numbers of orders of `count` values with 0, 1, 2… inversions (Mahonian numbers)."""
    if count < 2:  # noqa: PLR2004 - one order without a pair
        return (1,)
    fewer = _inversions(count - 1)
    return tuple(sum(fewer[max(0, k - count + 1) : k + 1]) for k in range(len(fewer) + count - 1))


def _normal(values: Sequence[float], score: int) -> float:
    """The same by the normal distribution, with the variance for ties and a correction for continuity."""
    n = len(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0:
        return 1.0
    return 1 - NormalDist().cdf((score - 1) / math.sqrt(variance))
