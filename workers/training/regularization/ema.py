"""An exponential moving average of the weights of a model, which is scored and saved instead of the model.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992). The exponential form is from
Tarvainen and Valpola, "Mean Teachers Are Better Role Models" (2017).
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """An averaged copy of the model: shadow <- d * shadow + (1 - d) * weights after each step.

    d = min(decay, (1 + t) / (10 + t)) after t updates, 0 <= decay < 1, so that the first weights have little influence.
    Parameters and floating-point buffers are averaged. Other buffers (counts) are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.shadow = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Add the current weights of the model to the average. Does not synchronize."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        shadows, weights = _tensors(self.shadow), _tensors(model)
        averaged = [tensor.is_floating_point() for tensor in weights]
        torch._foreach_lerp_(_where(averaged, shadows), _where(averaged, weights), 1 - decay)
        copied = [not floating for floating in averaged]
        if any(copied):
            torch._foreach_copy_(_where(copied, shadows), _where(copied, weights))
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """The state to continue exactly: the state dict of the shadow (not a copy) and the number of updates."""
        return {"shadow": self.shadow.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.shadow.load_state_dict(state["shadow"])
        self.steps = state["steps"]


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _where(chosen: list[bool], tensors: list[Tensor]) -> list[Tensor]:
    return [tensor for tensor, is_chosen in zip(tensors, chosen, strict=True) if is_chosen]
