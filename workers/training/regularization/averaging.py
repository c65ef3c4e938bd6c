"""The averaged copy of a model that a spec asks for."""

from torch import nn

from service.core.spec import Regularization
from workers.training.regularization.averaged import AveragedCopy
from workers.training.regularization.ema import MovingAverage
from workers.training.regularization.lookahead import Lookahead


def averaged_copy(options: Regularization, model: nn.Module, steps: int) -> AveragedCopy | None:
    """The copy to score and to save instead of the model; None if no weights are averaged. `steps`: of the run."""
    if options.ema_decay:
        return MovingAverage(model, options.ema_decay)
    if options.lookahead_steps:
        return Lookahead(model, options.lookahead_steps, options.lookahead_alpha, options.lookahead_power, steps)
    return None
