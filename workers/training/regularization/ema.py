"""An exponential moving average of the weights.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992). The exponential form is from
Tarvainen and Valpola, "Mean Teachers Are Better Role Models" (2017).
"""

from torch import nn

from workers.training.regularization.averaged import AveragedCopy


class MovingAverage(AveragedCopy):
    """shadow <- d * shadow + (1 - d) * weights after each step.

    d = min(decay, (1 + t) / (10 + t)) after t updates, 0 <= decay < 1, so that the first weights have little influence.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    def update(self, model: nn.Module) -> None:
        """Add the current weights of the model to the average. Does not synchronize."""
        self._move(model, 1 - min(self.decay, (1 + self.steps) / (10 + self.steps)))
        self.steps += 1
