"""Max-norm regularization: an upper limit for the norm of each unit's incoming weights.

Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks from
Overfitting" (2014), section 5.1.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from workers.training.regularization.hooks import OFF, Hooks, Setup
from workers.training.regularization.weight_decay import split_parameters


def max_norm(setup: Setup) -> Hooks:
    """Limits the norm of the weights after each step if `max_norm` is set."""
    limit = setup.spec.regularization.max_norm
    units, _ = split_parameters(setup.model, norm_and_bias_too=False)
    return OFF if limit is None else Hooks(weights=lambda lr: max_norm_(units, limit))


@torch.no_grad()
def max_norm_(parameters: Iterable[Tensor], limit: float) -> None:
    """Scale each unit's incoming weights in place so that their L2 norm is at most `limit` > 0.

    A unit is an index into the first dimension, as in linear and convolution layers. Units within the limit are exactly
    unchanged, as are biases and normalization parameters (vectors and scalars).
    """
    for p in parameters:
        if p.ndim > 1:
            p.renorm_(2, 0, limit)
