"""L1 regularization: lambda * sum |w|, as a term of the loss or by its proximal operator.

Tibshirani, "Regression Shrinkage and Selection via the Lasso" (1996); Parikh and Boyd, "Proximal Algorithms" (2014).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from workers.training.regularization.hooks import OFF, Hooks, Setup
from workers.training.regularization.weight_decay import split_parameters


def l1(setup: Setup) -> Hooks:
    """By `l1_mode` a term of the objective or soft thresholding after each step, if `l1` is above 0."""
    options = setup.spec.regularization
    strength, (weights, _) = options.l1, split_parameters(setup.model, options.decay_norm_and_bias)
    if not strength:
        return OFF

    def penalty() -> Tensor:
        return l1_penalty(weights, strength)

    if options.l1_mode == "loss":
        return Hooks(objective=penalty, penalty=penalty)
    return Hooks(weights=lambda lr: l1_proximal_(weights, lr * strength), penalty=penalty)


def l1_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength * sum over all elements of |w|: a differentiable scalar. strength >= 0."""
    return strength * torch.stack([p.abs().sum() for p in parameters]).sum()


@torch.no_grad()
def l1_proximal_(parameters: Iterable[Tensor], threshold: float) -> None:
    """Soft-threshold in place: w <- sign(w) * max(|w| - threshold, 0).

    `threshold` >= 0 is the learning rate times the L1 strength. Small weights become exactly 0, unlike with the loss
    term. With Adam the threshold is not scaled per weight as the gradient is, so the two modes give different results.
    """
    for p in parameters:
        p.copy_(p.sign() * (p.abs() - threshold).clamp_(min=0))
