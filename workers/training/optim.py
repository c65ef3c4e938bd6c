"""The optimizer of a spec: torch's own, with weight decay on the weights only, and SGD with decoupled decay."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn, optim

from service.core.spec import Optimizer
from workers.training.eager_optim import DECAY, SGD, SGDW, Adam, AdamW
from workers.training.models.depth import layers_by_depth
from workers.training.regularization.weight_decay import split_parameters

LR_SCALE = "lr_scale"  # in a group of parameters: the factor of their learning rate


def build_optimizer(
    model: nn.Module, options: Optimizer, weight_decay: float, decay_norm_and_bias: bool, layer_decay: float = 1.0
) -> optim.Optimizer:
    """Adam (Kingma and Ba, 2015) and SGD with coupled weight decay, AdamW and SGDW (Loshchilov and Hutter, 2019) with
    decoupled.

    With weight decay there are two parameter groups: decayed, and free (biases and normalization parameters, unless
    `decay_norm_and_bias`). Without it there is one group, because each group costs another call in every step. With a
    `layer_decay` below 1 each layer has groups of its own, the last layer's first, and the i-th layer before the last
    has the factor layer_decay^i (Bao et al., "BEiT", 2022).
    """
    regularized, free = split_parameters(model, decay_norm_and_bias or not weight_decay)
    groups: list[dict[str, Any]] = [
        {"params": regularized, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    if layer_decay != 1:
        groups = [part for layer, scale in _scales(model, layer_decay) for part in _of_layer(groups, layer, scale)]
    groups = [group for group in groups if group["params"]]
    match options.name:
        case "adam":
            return Adam(groups, lr=options.lr, betas=options.betas, fused=True)
        case "adamw":
            return AdamW(groups, lr=options.lr, betas=options.betas, fused=True)
        case "sgd":
            return SGD(groups, lr=options.lr, momentum=options.momentum, nesterov=options.nesterov, fused=True)
        case "sgdw":
            groups = [group | {DECAY: group["weight_decay"], "weight_decay": 0.0} for group in groups]
            return SGDW(groups, lr=options.lr, momentum=options.momentum, nesterov=options.nesterov, fused=True)


def _scales(model: nn.Module, layer_decay: float) -> Iterator[tuple[list[nn.Parameter], float]]:
    """The parameters of each layer, from the last to the first, with the factor of their learning rate."""
    for distance, layer in enumerate(reversed(layers_by_depth(model))):
        yield layer, layer_decay**distance


def _of_layer(
    groups: Sequence[dict[str, Any]], layer: Sequence[nn.Parameter], scale: float
) -> Iterator[dict[str, Any]]:
    """The parts of the groups that are in a layer."""
    members = {id(p) for p in layer}
    for group in groups:
        yield group | {"params": [p for p in group["params"] if id(p) in members], LR_SCALE: scale}
