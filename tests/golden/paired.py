"""The mean of differences that are paired by seed."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from service.core.experiments.statistics import t_quantile


def spread(changes: Sequence[float]) -> tuple[float, float]:
    """The mean of at least two differences, and the half of its 95 % interval (Student's t)."""
    return fmean(changes), t_quantile(0.95, len(changes) - 1) * stdev(changes) / math.sqrt(len(changes))
