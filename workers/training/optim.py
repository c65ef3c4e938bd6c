"""The optimizer of a spec: torch's own, with weight decay on the weights only."""

from torch import nn, optim

from service.core.spec import Optimizer
from workers.training.eager_optim import SGD, Adam, AdamW
from workers.training.regularization.weight_decay import split_parameters


def build_optimizer(
    model: nn.Module, options: Optimizer, weight_decay: float, decay_norm_and_bias: bool
) -> optim.Optimizer:
    """Adam (Kingma and Ba, 2015) and SGD with coupled weight decay, AdamW (Loshchilov and Hutter, 2019) with decoupled.

    With weight decay there are two parameter groups: decayed, and free (biases and normalization parameters, unless
    `decay_norm_and_bias`). Without it there is one group, because each group costs another call in every step.
    """
    regularized, free = split_parameters(model, decay_norm_and_bias or not weight_decay)
    groups = [{"params": regularized, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    match options.name:
        case "adam":
            return Adam(groups, lr=options.lr, betas=options.betas, fused=True)
        case "adamw":
            return AdamW(groups, lr=options.lr, betas=options.betas, fused=True)
        case "sgd":
            return SGD(groups, lr=options.lr, momentum=options.momentum, nesterov=options.nesterov, fused=True)
