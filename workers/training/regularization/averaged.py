"""A copy of a model with averaged weights, which is scored and saved instead of the model."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class AveragedCopy:
    """An averaged copy of the model. Parameters and floating-point buffers are averaged, other buffers are copied.

    A subclass says in `update` when and how far the `shadow` moves towards the model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.shadow = copy.deepcopy(model).requires_grad_(False)
        self.steps = 0

    def update(self, model: nn.Module) -> None:
        """Follow one step of the model. Does not synchronize."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The state to continue exactly: the state dict of the shadow (not a copy) and the number of updates."""
        return {"shadow": self.shadow.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.shadow.load_state_dict(state["shadow"])
        self.steps = state["steps"]

    @torch.no_grad()
    def _move(self, model: nn.Module, share: float) -> None:
        """Move the shadow by this share of the way towards the model."""
        shadows, weights = tensors_of(self.shadow), tensors_of(model)
        averaged = [tensor.is_floating_point() for tensor in weights]
        torch._foreach_lerp_(_where(averaged, shadows), _where(averaged, weights), share)
        copied = [not floating for floating in averaged]
        if any(copied):
            torch._foreach_copy_(_where(copied, shadows), _where(copied, weights))


def tensors_of(model: nn.Module) -> list[Tensor]:
    """All parameters, then all buffers."""
    return [*model.parameters(), *model.buffers()]


def _where(chosen: list[bool], tensors: list[Tensor]) -> list[Tensor]:
    return [tensor for tensor, is_chosen in zip(tensors, chosen, strict=True) if is_chosen]
