"""The averaged copy of a model that a spec asks for."""

from torch import nn

from service.core.spec import Regularization
from workers.training.regularization.averaged import AveragedCopy
from workers.training.regularization.ema import MovingAverage
from workers.training.regularization.lookahead import Lookahead


def averaged_copy(options: Regularization, model: nn.Module, epochs: int, steps: int) -> AveragedCopy | None:
    """The copy to score and to save instead of the model; None if no weights are averaged. `steps`: of an epoch.

    Lookahead follows at least once in an epoch, so that no two epochs score the same weights.
    """
    if options.ema_decay:
        return MovingAverage(model, options.ema_decay)
    if options.lookahead_steps:
        interval = min(options.lookahead_steps, steps)
        return Lookahead(model, interval, options.lookahead_alpha, options.lookahead_power, epochs * steps)
    return None
