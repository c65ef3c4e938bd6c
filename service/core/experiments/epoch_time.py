"""The time of an epoch before anything is trained: by the time of earlier jobs, else by arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PASSES = 3  # forward, and two products of the size of the forward one backward
# Multiplications in a second of one CPU thread: the cnn 32-64-128 trains 4,656 images of 28x28 pixels a second on two
# (`python -m tests.benchmarks.bench`, 2 cores with AVX-512).
RATE = 2e10
IMAGE_SECONDS = 1e-4  # of an image in an epoch beside its multiplications, for small networks


@dataclass(frozen=True)
class Timed:
    """An earlier job: the multiplications in a forward pass of one image, its training images, and the mean seconds of
    its epochs. `is_alike`: it was trained on the same data set.
    """

    multiplications: int
    images: int
    epoch_seconds: float
    is_alike: bool = True


@dataclass(frozen=True)
class EpochTime:
    """The estimate. `source` is `history` (jobs on the same data set), `speed` (jobs on others) or `arithmetic`."""

    seconds: float
    source: str


def epoch_time(multiplications: int, images: int, past: Sequence[Timed], *, is_on_gpu: bool) -> EpochTime | None:
    """The time of an epoch of a network with so many multiplications an image. It comes from the job that is nearest in
    work, of those on the same data set if there are any. None on GPUs without an earlier job.
    """
    work = arithmetic_seconds(multiplications, images)
    if usable := [each for each in past if each.is_alike] or past:
        ratios = [(work / arithmetic_seconds(each.multiplications, each.images), each) for each in usable]
        ratio, nearest = min(ratios, key=lambda pair: abs(math.log(pair[0])))
        return EpochTime(ratio * nearest.epoch_seconds, "history" if nearest.is_alike else "speed")
    return None if is_on_gpu else EpochTime(work, "arithmetic")


def arithmetic_seconds(multiplications: int, images: int) -> float:
    """The time of an epoch on one CPU thread, by arithmetic."""
    return (PASSES * multiplications / RATE + IMAGE_SECONDS) * max(1, images)
