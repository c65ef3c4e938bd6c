"""The reliability diagram as circles of an SVG: accuracy over confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.evaluation.calibration import Bin

SIDE = 200  # of the square, in units of the SVG
SMALLEST, LARGEST = 3.0, 9.0  # radius of a circle


@dataclass(frozen=True)
class Circle:
    """The images of one bin; the area of the circle grows with their number. `y` points down."""

    x: float
    y: float
    radius: float
    bin: Bin


def circles(bins: Sequence[Bin]) -> list[Circle]:
    """The circles of the bins that have images."""
    most = max(each.images for each in bins)
    return [
        Circle(
            x=round(SIDE * each.confidence, 1),
            y=round(SIDE * (1 - each.accuracy), 1),
            radius=round(SMALLEST + (LARGEST - SMALLEST) * (each.images / most) ** 0.5, 1),
            bin=each,
        )
        for each in bins
        if each.confidence is not None and each.accuracy is not None
    ]
