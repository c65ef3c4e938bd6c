"""Sharpness-aware minimization: each step uses the gradient at the point of highest loss near the weights.

Foret, Kleiner, Mobahi and Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving Generalization" (2021).
The adaptive form: Kwon, Kim, Park and Choi, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning
of Deep Neural Networks" (2021).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workers.training.regularization.hooks import OFF, Hooks, Setup
from workers.training.total_norm import total_norm

TINY = 1e-12  # added to a norm that can be 0


def sam(setup: Setup) -> Hooks:
    """Replaces the gradients of each step by those of a second pass if `sam_rho` is above 0."""
    rho, adaptive = setup.spec.regularization.sam_rho, setup.spec.regularization.sam_adaptive
    trained = setup.trained
    return Hooks(second_pass=lambda repeat: sharpness_aware_(trained, rho, adaptive, repeat)) if rho else OFF


@torch.no_grad()
def sharpness_aware_(parameters: Sequence[Tensor], rho: float, adaptive: bool, repeat: Callable[[], None]) -> None:
    """Move the weights w to w + e, call `repeat`, which computes the gradients again, and restore w exactly.

    e = rho * g / |g| with the gradient g and its L2 norm over all parameters. The adaptive form scales the distance by
    the size of each weight: e = rho * w^2 * g / |w * g|. rho > 0. Parameters without a gradient are not moved. The
    processes of a group have the same g and so the same e. Does not synchronize.
    """
    moved = [p for p in parameters if p.grad is not None]
    steps = [p.grad for p in moved if p.grad is not None]  # changed in place, because `repeat` replaces the gradients
    if adaptive:
        torch._foreach_mul_(steps, moved)
    scale = rho / (total_norm(steps) + TINY)
    if adaptive:
        torch._foreach_mul_(steps, moved)
    torch._foreach_mul_(steps, scale)
    weights = [p.clone() for p in moved]
    torch._foreach_add_(moved, steps)
    del steps  # `repeat` frees these gradients before it computes the new ones
    try:
        with torch.enable_grad():
            repeat()
    finally:
        torch._foreach_copy_(moved, weights)
