"""The time of an epoch before anything is trained: by the time of earlier jobs, else by arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Multiplications in a second of one CPU thread: the cnn 32-64-128 trains 4,656 images of 28x28 pixels a second on two
# (`python -m tests.benchmarks.bench`, 2 cores with AVX-512).
RATE = 2e10
IMAGE_SECONDS = 1e-4  # of an image in an epoch beside its multiplications, for small networks


@dataclass(frozen=True)
class Timed:
    """An earlier job: the multiplications of an epoch for each training image, the number of these, and the mean
    seconds of its epochs. `is_alike`: it was trained on the same data set.
    """

    work: float
    images: int
    epoch_seconds: float
    is_alike: bool = True


@dataclass(frozen=True)
class EpochTime:
    """The estimate. `source` is `history` (jobs on the same data set), `speed` (jobs on others) or `arithmetic`."""

    seconds: float
    source: str


def epoch_time(work: float, images: int, past: Sequence[Timed], *, is_on_gpu: bool) -> EpochTime | None:
    """The time of an epoch with this number of multiplications for each training image. It comes from the job that is
    nearest in work, of those on the same data set if there are any. None on GPUs without an earlier job.
    """
    estimate = arithmetic_seconds(work, images)
    if usable := [each for each in past if each.is_alike] or past:
        ratios = [(estimate / arithmetic_seconds(each.work, each.images), each) for each in usable]
        ratio, nearest = min(ratios, key=lambda pair: abs(math.log(pair[0])))
        return EpochTime(ratio * nearest.epoch_seconds, "history" if nearest.is_alike else "speed")
    return None if is_on_gpu else EpochTime(estimate, "arithmetic")


def arithmetic_seconds(work: float, images: int) -> float:
    """The time of an epoch on one CPU thread, by arithmetic."""
    return (work / RATE + IMAGE_SECONDS) * max(1, images)
