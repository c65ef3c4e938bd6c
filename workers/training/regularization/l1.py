"""L1 regularization: lambda * sum |w|, as a term of the loss or by its proximal operator.

Tibshirani, "Regression Shrinkage and Selection via the Lasso" (1996); Parikh and Boyd, "Proximal Algorithms" (2014).
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def l1_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength * sum over all elements of |w|: a scalar that gradients flow through. strength >= 0."""
    return strength * torch.stack([p.abs().sum() for p in parameters]).sum()


@torch.no_grad()
def l1_proximal_(parameters: Iterable[Tensor], threshold: float) -> None:
    """Soft-threshold in place: w <- sign(w) * max(|w| - threshold, 0).

    `threshold` is the learning rate times the L1 strength, >= 0. Small weights become exact zeros, which the
    subgradient of the loss term never gives. Under Adam the step is not scaled per weight, so the two modes are
    different methods there, not two roads to one result.
    """
    for p in parameters:
        p.copy_(p.sign() * (p.abs() - threshold).clamp_(min=0))
