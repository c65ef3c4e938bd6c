"""The effect of a factor on the validation loss, from runs paired by their seed.

Student's t is computed here, in 20 lines: scipy would add more than 100 MB to the image of the API.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

ERROR_RATE = 0.05  # probability of any false positive, over all comparisons of an ablation together
HALVINGS = 80  # of a bisection, beyond the precision of a float


class Verdict(StrEnum):
    """The effect of a factor, as far as the runs show it."""

    LOWERS = "lowers validation loss"
    RAISES = "raises validation loss"
    NONE = "no significant effect"
    UNKNOWN = "too few pairs"


@dataclass(frozen=True)
class Effect:
    """The mean of `pairs` differences, an arm's validation loss minus the base's under the same seed, in nats.

    Negative is better. `relative` is `mean` over the base's mean loss. `interval` holds the true mean with the
    requested confidence. Values that need more pairs are None.
    """

    pairs: int
    mean: float | None
    relative: float | None
    interval: tuple[float, float] | None

    @property
    def is_significant(self) -> bool:
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    @property
    def verdict(self) -> Verdict:
        if self.interval is None:
            return Verdict.UNKNOWN
        if not self.is_significant:
            return Verdict.NONE
        return Verdict.LOWERS if self.interval[1] < 0 else Verdict.RAISES


def effect(base: Mapping[int, float], arm: Mapping[int, float], comparisons: int) -> Effect:
    """Compare losses by seed with a paired t-test.

    The level is corrected for the number of `comparisons` (1 or more) with one base, after Bonferroni: the interval has
    confidence 1 - ERROR_RATE / comparisons. The test assumes that the differences are about normal over the seeds.
    """
    seeds = sorted(base.keys() & arm.keys())
    if not seeds:
        return Effect(0, None, None, None)
    differences = [arm[seed] - base[seed] for seed in seeds]
    mean, of_base = fmean(differences), fmean(base[seed] for seed in seeds)
    relative = mean / of_base if of_base else None
    if len(seeds) < 2:  # noqa: PLR2004 - one difference has no spread
        return Effect(1, mean, relative, None)
    t = t_quantile(1 - ERROR_RATE / comparisons, len(seeds) - 1)
    half = t * stdev(differences) / math.sqrt(len(seeds))
    return Effect(len(seeds), mean, relative, (mean - half, mean + half))


def t_quantile(level: float, degrees: int) -> float:
    """The t with P(|T| < t) = `level` (0 to below 1), for T of Student's distribution.

    `degrees` of freedom, 1 or more. Bisection over the angle, 0 to pi/2, in t = sqrt(degrees) tan(angle).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < level else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def _within(angle: float, degrees: int) -> float:
    """P(|T| < sqrt(degrees) tan(angle)) by its finite series: Abramowitz and Stegun, "Handbook of Mathematical
    Functions" (1964), 26.7.3 for odd and 26.7.4 for even degrees of freedom.
    """
    sine, cosine, odd = math.sin(angle), math.cos(angle), degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
