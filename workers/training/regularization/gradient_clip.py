"""Clipping the gradient by its global norm.

Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks" (2013).
"""

from collections.abc import Iterable

from torch import Tensor, nn

from workers.training.regularization.hooks import OFF, Hooks, Setup


def gradient_clip(setup: Setup) -> Hooks:
    """Clips after the backward pass where `gradient_clip_norm` is set."""
    limit, trained = setup.spec.regularization.gradient_clip_norm, setup.trained
    return OFF if limit is None else Hooks(gradients=lambda norm: clip_gradients_(trained, limit, norm))


def clip_gradients_(parameters: Iterable[Tensor], limit: float, norm: Tensor) -> None:
    """Scale all gradients in place by min(1, limit / norm). `norm` is the L2 norm of all of them together.

    limit > 0. The norm is a scalar on the device. Parameters without a gradient stay. Does not synchronize. If the norm
    is nan, every gradient becomes nan; if it is infinite, finite gradients become 0.
    """
    nn.utils.clip_grads_with_norm_(parameters, limit, norm)
