"""What a trial costs before anything is trained."""

from dataclasses import dataclass

from service.core.experiments.epoch_time import EpochTime
from service.core.experiments.fits.lengths import length
from service.core.records.fit import TrialJob
from service.core.records.fit_request import FitRequest
from service.core.records.job import Status


@dataclass(frozen=True)
class TrialCost:
    """The estimate for a usual trial on one slot. `source` is that of the time of an epoch."""

    epochs: int
    epoch_seconds: float
    seconds: float
    source: str


def trial_cost(request: FitRequest, epochs: int, of_base: EpochTime) -> TrialCost:
    """The cost of a usual trial of an accepted request. Its base has `epochs` epochs, each of the time `of_base`."""
    measured = TrialJob("", Status.RUNNING, None, None, epochs, epochs * of_base.seconds, None, None)
    usual = length(request, measured, ())
    trained = usual.epochs if usual else epochs
    of_trial = request.cost * of_base.seconds
    return TrialCost(trained, of_trial, trained * of_trial, of_base.source)
