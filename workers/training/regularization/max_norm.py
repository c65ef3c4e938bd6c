"""Max-norm regularization: no unit's incoming weights are longer than a limit.

Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
Overfitting" (2014), section 5.1.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from workers.training.regularization.hooks import OFF, Hooks, Setup
from workers.training.regularization.weight_decay import split_parameters


def max_norm(setup: Setup) -> Hooks:
    """Shortens the weights after each step where `max_norm` is set."""
    limit = setup.spec.regularization.max_norm
    units, _ = split_parameters(setup.model, norm_and_bias_too=False)
    return OFF if limit is None else Hooks(weights=lambda lr: max_norm_(units, limit))


@torch.no_grad()
def max_norm_(parameters: Iterable[Tensor], limit: float) -> None:
    """Scale each unit's incoming weights in place so that their L2 norm is at most `limit` > 0. For after a step.

    A unit is an index into the first dimension, as in linear and convolution layers. What is within the limit is not
    changed by a bit; biases and normalization parameters (vectors and scalars) are left alone.
    """
    for p in parameters:
        if p.ndim > 1:
            p.renorm_(2, 0, limit)
