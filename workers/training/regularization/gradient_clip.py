"""Clipping the gradient by its global norm.

Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks" (2013).
"""

from collections.abc import Iterable

from torch import Tensor, nn

from workers.training.regularization.hooks import OFF, Hooks, Setup


def gradient_clip(setup: Setup) -> Hooks:
    """Clips the gradients after the backward pass if `gradient_clip_norm` is set."""
    limit, trained = setup.spec.regularization.gradient_clip_norm, setup.trained
    return OFF if limit is None else Hooks(gradients=lambda: clip_gradients_(trained, limit))


def clip_gradients_(parameters: Iterable[Tensor], limit: float) -> Tensor:
    """Scale all gradients in place by min(1, limit / norm). norm is the L2 norm of all gradients together; limit > 0.

    Parameters without a gradient are ignored. Returns the norm before scaling, a scalar on the device, without
    synchronizing. If it is not finite, no gradient is finite afterwards.
    """
    return nn.utils.clip_grad_norm_(list(parameters), limit)
