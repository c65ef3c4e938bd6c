"""The likely gain from more images: a power law through runs that differ only in the number of images."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import linear_regression

LEAST_SIZES = 3  # different numbers of images; any curve fits fewer


@dataclass(frozen=True)
class LearningCurve:
    """Validation loss (nats) is about scale * images ** -exponent: Hestness et al., "Deep Learning Scaling is
    Predictable, Empirically" (2017). `sizes` are the numbers of images of its runs.
    """

    scale: float
    exponent: float
    sizes: tuple[int, ...]

    def loss(self, images: int) -> float:
        return self.scale * math.pow(images, -self.exponent)

    def words(self, images: int) -> str:
        """The likely effect of twice as many images, in a sentence."""
        through = ", ".join(f"{size:,}" for size in self.sizes)
        if self.exponent <= 0:
            return f"Runs with {through} images show no gain from more of them."
        return (
            f"By runs with {through} images, {2 * images:,} instead of {images:,} should bring validation loss from "
            f"{self.loss(images):.3f} to about {self.loss(2 * images):.3f}."
        )


def learning_curve(runs: Iterable[tuple[int, float]]) -> LearningCurve | None:
    """Fit (training images, best validation loss) of each run; None if there are fewer than LEAST_SIZES sizes."""
    points = [(images, loss) for images, loss in runs if images > 0 and loss > 0]
    sizes = tuple(sorted({images for images, _ in points}))
    if len(sizes) < LEAST_SIZES:
        return None
    slope, intercept = linear_regression([math.log(n) for n, _ in points], [math.log(loss) for _, loss in points])
    return LearningCurve(math.exp(intercept), -slope, sizes)
