"""Lookahead: slow weights that follow the weights, which return to them.

Zhang, Lucas, Hinton and Ba, "Lookahead Optimizer: k steps forward, 1 step back" (2019). The share of the way that falls
over the run, and the averaged running statistics, are from Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU"
(2024).
"""

import torch
from torch import nn

from workers.training.regularization.averaged import AveragedCopy, tensors_of


class Lookahead(AveragedCopy):
    """Every `interval` steps: shadow <- shadow + a * (weights - shadow), then weights <- shadow.

    a = 1 - (1 - alpha) * (t / steps)^power after t of all `steps` of the run, 0 < alpha <= 1: with power 0 always
    alpha. With alpha 1 it changes nothing.
    """

    def __init__(self, model: nn.Module, interval: int, alpha: float, power: float, steps: int) -> None:
        super().__init__(model)
        self.interval, self.alpha, self.power, self.all_steps = interval, alpha, power, steps

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow one step of the model, and change its weights if a step back is due. Does not synchronize."""
        self.steps += 1
        if self.steps % self.interval == 0:
            self._move(model, 1 - (1 - self.alpha) * (self.steps / self.all_steps) ** self.power)
            torch._foreach_copy_(tensors_of(model), tensors_of(self.shadow))
