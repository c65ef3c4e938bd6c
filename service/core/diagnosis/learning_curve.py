"""What more images are likely to bring: a power law through runs that differ in nothing but how many they had."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import linear_regression

LEAST_SIZES = 3  # different numbers of images; through fewer, any curve goes


@dataclass(frozen=True)
class LearningCurve:
    """Validation loss (nats) is about scale * images ** -exponent: Hestness et al., "Deep Learning Scaling is
    Predictable, Empirically" (2017). `sizes` are the numbers of images it was laid through.
    """

    scale: float
    exponent: float
    sizes: tuple[int, ...]

    def loss(self, images: int) -> float:
        return self.scale * math.pow(images, -self.exponent)

    def words(self, images: int) -> str:
        """What twice as many images as these are likely to bring."""
        through = ", ".join(f"{size:,}" for size in self.sizes)
        if self.exponent <= 0:
            return f"Runs with {through} images show no gain from more of them."
        return (
            f"By runs with {through} images, {2 * images:,} instead of {images:,} should bring validation loss from "
            f"{self.loss(images):.3f} to about {self.loss(2 * images):.3f}."
        )


def learning_curve(runs: Iterable[tuple[int, float]]) -> LearningCurve | None:
    """Through (training images, best validation loss) of each run; None where there are too few different sizes."""
    points = [(images, loss) for images, loss in runs if images > 0 and loss > 0]
    sizes = tuple(sorted({images for images, _ in points}))
    if len(sizes) < LEAST_SIZES:
        return None
    slope, intercept = linear_regression([math.log(n) for n, _ in points], [math.log(loss) for _, loss in points])
    return LearningCurve(math.exp(intercept), -slope, sizes)
