"""Measures of a loss curve. Pure functions on sequences of finite numbers; epochs are counted from 0 here.

GL, P_k, PQ and UP_s are those of Prechelt, "Early Stopping - But When?" (1998), as the validation loss has them here:
training loss and validation loss are mean cross entropies per image. The slope is that of Theil (1950) and Sen (1968).
"""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import fmean, median

STRIP = 5  # consecutive epochs in a strip: Prechelt's k
MOST_POINTS = 60  # of a curve for a slope or a trend, which are measured on at most 1,770 pairs
DEVIATION = 1.4826  # standard deviation of normal numbers in median absolute deviations


def generalization_loss(val: Sequence[float]) -> float:
    """GL: by how many percent the last validation loss is above the lowest one. 0 or more."""
    lowest = min(val)
    return 100 * (val[-1] / lowest - 1) if lowest > 0 else 0.0


def training_progress(train: Sequence[float], strip: int = STRIP) -> float:
    """P_k: by how many per mille the mean of the last `strip` training losses is above the lowest of them."""
    last = train[-strip:]
    lowest = min(last)
    return 1000 * (fmean(last) / lowest - 1) if lowest > 0 else 0.0


def progress_quotient(val: Sequence[float], train: Sequence[float], strip: int = STRIP) -> float:
    """PQ = GL / P_k: generalization lost for each bit of training progress; infinite where there is no progress."""
    lost, progress = generalization_loss(val), training_progress(train, strip)
    return lost / progress if progress else (math.inf if lost else 0.0)


def successive_rises(val: Sequence[float], strip: int = STRIP) -> int:
    """The s up to which UP_s holds: how many strips in a row, up to the last one, ended above the one before."""
    ends = list(val[len(val) - 1 :: -strip])
    rises = 0
    for later, earlier in pairwise(ends):
        if later <= earlier:
            break
        rises += 1
    return rises


def theil_sen(values: Sequence[float], at: Sequence[float] | None = None) -> float:
    """The slope: the median of the slopes of all pairs. Half of the values may be wrong without moving it.

    `at` are the places of the values, rising; by default their indices. More than MOST_POINTS values are first brought
    down to blocks.
    """
    points = list(zip(blocks(range(len(values)) if at is None else at), blocks(values), strict=True))
    slopes = [(later - earlier) / (end - start) for (start, earlier), (end, later) in combinations(points, 2)]
    return median(slopes) if slopes else 0.0


def blocks(values: Sequence[float]) -> list[float]:
    """The medians of at most MOST_POINTS blocks of the same size. First values that fill no block are left out."""
    size = max(1, math.ceil(len(values) / MOST_POINTS))
    return [median(values[i : i + size]) for i in range(len(values) % size, len(values), size)]


def smoothed(values: Sequence[float], strip: int = STRIP) -> list[float]:
    """The median of the `strip` values around each, fewer at the ends."""
    half = strip // 2
    return [median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def jitter(values: Sequence[float], at: Sequence[int] | None = None) -> float:
    """How far a value lies from its neighbours' mean: a standard deviation, robust, blind to any straight trend.

    `at` are the epochs of the values: a value whose neighbours are not equally far from it is left out.
    """
    places = range(len(values)) if at is None else at
    bends = [
        values[i] - (values[i - 1] + values[i + 1]) / 2
        for i in range(1, len(values) - 1)
        if places[i + 1] - places[i] == places[i] - places[i - 1]
    ]
    if not bends:
        return 0.0
    return DEVIATION * median(map(abs, bends)) / math.sqrt(1.5)


def finite(value: float) -> float:
    """The value, at most 1e9 from 0: JSON has no infinity."""
    return max(-1e9, min(value, 1e9))
