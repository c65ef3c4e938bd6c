"""A multi-layer perceptron on the flattened image."""

import math

from torch import nn

from service.core.spec import Mlp
from workers.training.models.head import dense


def build_mlp(options: Mlp, shape: tuple[int, int, int], classes: int, dropout: float) -> nn.Module:
    """Images [N, C, H, W] to logits [N, classes]; without hidden layers it is a softmax regression."""
    return nn.Sequential(nn.Flatten(), *dense(math.prod(shape), options.hidden, classes, dropout, drop_input=False))
