"""What a trial costs before anything is trained: by the time of earlier jobs on the same images, else by arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.experiments.fits.lengths import length
from service.core.experiments.recipes import DataFacts
from service.core.records.dataset import Contents
from service.core.records.fit import TrialJob
from service.core.records.fit_request import FitRequest
from service.core.records.job import Status
from service.core.records.plan import Plan

PASSES = 3  # forward, and two products of the size of the forward one backward
# Multiplications in a second of one CPU thread: the cnn 32-64-128 trains 4,656 images of 28x28 pixels a second on two
# (`python -m tests.benchmarks.bench`, 2 cores with AVX-512).
RATE = 2e10
IMAGE_SECONDS = 1e-4  # of an image in an epoch beside its multiplications, for small networks


@dataclass(frozen=True)
class Timed:
    """The plan of an earlier job, its training images, and the mean seconds of its epochs."""

    plan: Plan
    images: int
    epoch_seconds: float


@dataclass(frozen=True)
class TrialCost:
    """The estimate for a usual trial on one slot. `source` is `history` or `arithmetic`."""

    epochs: int
    epoch_seconds: float
    seconds: float
    source: str


def trial_cost(
    request: FitRequest, base: Plan, contents: Contents, past: Sequence[Timed], is_on_gpu: bool
) -> TrialCost | None:
    """The cost of a usual trial of an accepted request; None on GPUs without an earlier job on the same images, and
    where the multiplications of the network are unknown.
    """
    images = DataFacts.of(contents, base.spec.dataset).images
    of_base, source = epoch_seconds(base, images), "arithmetic"
    if past:
        ratios = [(of_base / epoch_seconds(each.plan, each.images), each.epoch_seconds) for each in past]
        ratio, measured_seconds = min(ratios, key=lambda each: abs(math.log(each[0])))
        of_base, source = ratio * measured_seconds, "history"
    elif base.multiplications is None or is_on_gpu:
        return None
    measured = TrialJob("", Status.RUNNING, None, None, base.spec.epochs, base.spec.epochs * of_base, None, None)
    usual = length(request, measured, ())
    epochs = usual.epochs if usual else base.spec.epochs
    of_trial = request.cost * of_base
    return TrialCost(epochs, of_trial, epochs * of_trial, source)


def epoch_seconds(plan: Plan, images: int) -> float:
    """The time of an epoch on one thread of a CPU; by the parameters where multiplications are unknown, for comparisons
    alone.
    """
    multiplications = plan.multiplications or plan.parameters
    return (PASSES * multiplications / RATE + IMAGE_SECONDS) * max(1, images)
