"""Intervals: Wilson's for shares, the bootstrap's for means.

Wilson, "Probable inference, the law of succession, and statistical inference" (1927). Efron, "Bootstrap methods:
another look at the jackknife" (1979).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Interval = tuple[float, float]

Z = 1.959963984540054  # 97.5 % of a standard normal distribution lies below
RESAMPLES = 1000
BLOCK = 100  # resamples that are drawn at once: few enough for the cache of a core
MOST_GROUPS = 2000  # that are drawn; of larger sets every n-th image together, which keeps the cost the same
SEED = 0  # the same images have the same interval


def resampled(values: Floats) -> Floats:
    """The means [RESAMPLES, S] of the columns of `values` [N, S] over N rows drawn again with replacement."""
    groups = min(len(values), MOST_GROUPS)
    sums = np.stack([values[first::groups].sum(axis=0) for first in range(groups)])
    sizes = np.array([len(range(first, len(values), groups)) for first in range(groups)], np.float64)
    rng = np.random.default_rng(SEED)
    counts = np.empty((RESAMPLES, groups))
    for row in counts:
        row[:] = np.bincount(rng.integers(groups, size=groups), minlength=groups)
    means: Floats = (counts @ sums) / (counts @ sizes)[:, None]
    return means


def percentiles(draws: Floats) -> Interval:
    """The interval that holds 95 % of the draws."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def mean_interval(values: Floats) -> Interval:
    """The 95 % interval of the mean of at least two values, which may be skewed, as losses are.

    It is the bootstrap-t interval up to MOST_GROUPS values (Efron and Tibshirani, "An Introduction to the Bootstrap",
    1993, chapter 12), and the normal one beyond, where both agree.
    """
    mean, error = float(values.mean()), float(_standard_error(values))
    if len(values) > MOST_GROUPS or not error:
        return mean - Z * error, mean + Z * error
    rng = np.random.default_rng(SEED)
    ratios = []
    for _ in range(RESAMPLES // BLOCK):
        drawn = values[rng.integers(len(values), size=(BLOCK, len(values)))]
        errors = _standard_error(drawn)
        varied = errors > 0
        ratios.append((drawn.mean(axis=1)[varied] - mean) / errors[varied])
    low, high = np.quantile(np.concatenate(ratios), (0.025, 0.975))
    return mean - float(high) * error, mean - float(low) * error


def _standard_error(values: Floats) -> Floats:
    """Of the mean over the last axis."""
    errors: Floats = values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])
    return errors


def wilson(hits: float, trials: int) -> Interval:
    """The 95 % interval of a share; all of 0 to 1 without a trial. Trials that are alike may count as parts of one."""
    if trials == 0:
        return 0.0, 1.0
    share, weight = hits / trials, Z * Z / trials
    middle = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * float(np.sqrt(share * (1 - share) / trials + weight / (4 * trials)))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
