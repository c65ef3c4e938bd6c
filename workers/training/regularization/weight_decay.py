"""The parameters that weight decay and L1 act on, and the penalty of coupled weight decay.

Krogh and Hertz, "A Simple Weight Decay Can Improve Generalization" (1991); Loshchilov and Hutter, "Decoupled Weight
Decay Regularization" (2019). By default biases and normalization parameters are excluded: He et al., "Bag of Tricks for
Image Classification" (2019), section 3.1.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from workers.training.regularization.hooks import OFF, Hooks, Setup

DECOUPLED = ("adamw", "sgdw")  # optimizers that decay weights apart from the gradient


def weight_decay(setup: Setup) -> Hooks:
    """Reports the penalty; the optimizer applies the decay. Decoupled decay is not a term of the objective."""
    options = setup.spec.regularization
    strength, (weights, _) = options.weight_decay, split_parameters(setup.model, options.decay_norm_and_bias)
    is_coupled = setup.spec.optimizer.name not in DECOUPLED
    return Hooks(penalty=lambda: l2_penalty(weights, strength)) if strength and is_coupled else OFF


def split_parameters(model: nn.Module, norm_and_bias_too: bool) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trainable parameters as (regularized, free).

    Regularized are the weights of linear and convolution layers and of the projections of attention. Free are biases,
    normalization parameters, layer scales and position embeddings. With `norm_and_bias_too` all are regularized.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if norm_and_bias_too:
        return trainable, []
    weights = {id(weight) for module in model.modules() for weight in _weights(module)}
    return [p for p in trainable if id(p) in weights], [p for p in trainable if id(p) not in weights]


def _weights(module: nn.Module) -> list[Tensor]:
    if isinstance(module, nn.Linear | nn.Conv2d):
        return [module.weight]
    if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
        return [module.in_proj_weight]
    return []


@torch.no_grad()
def l2_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength / 2 * sum over all elements of w^2, a scalar: coupled weight decay adds its gradient."""
    return strength / 2 * torch.stack([p.square().sum() for p in parameters]).sum()
