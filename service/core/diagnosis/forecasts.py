"""By how much a series is likely to fall in as many epochs again: two forecasts, each 0 or more.

Losses fall quickly, then slowly. How slowly depends on the run, so that the truth is mostly between the two.
"""

import math
from collections.abc import Sequence
from statistics import median

from service.core.diagnosis.measures import theil_sen

LEAST_THIRD, LEAST_HALF = 2, 5  # epochs


def decaying(values: Sequence[float]) -> float:
    """If the falls between the medians of the thirds go on in the same ratio, of at most 1."""
    third = max(LEAST_THIRD, len(values) // 3)
    first, second, last = (median(values[-i * third :][:third] or values[:1]) for i in (3, 2, 1))
    before, latest = first - second, max(0.0, second - last)
    ratio = min(1.0, latest / before) if before > 0 else 1.0
    return latest * (ratio + ratio**2 + ratio**3)


def slowing(values: Sequence[float]) -> float:
    """If the second half goes on along its robust slope against the logarithm of the epochs."""
    half = max(0, min(len(values) // 2, len(values) - LEAST_HALF))
    places = [math.log(i + 1) for i in range(half, len(values))]
    return max(0.0, -theil_sen(values[half:], places)) * math.log(2)
