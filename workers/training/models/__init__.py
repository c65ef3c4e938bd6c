"""The architectures: one file each, one dict of builders."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from service.core.spec import JobSpec
from workers.training.models.cnn import build_cnn
from workers.training.models.mlp import build_mlp
from workers.training.seeds import derive

Builder = Callable[[Any, tuple[int, int, int], int, float], nn.Module]

BUILDERS: dict[str, Builder] = {"cnn": build_cnn, "mlp": build_mlp}


def build_model(spec: JobSpec, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of the spec for images of shape (channels, height, width), with weights drawn from its seed.

    Takes float images [N, C, H, W], gives logits [N, classes]. The process's own random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(spec.seed, "init"))
        return BUILDERS[spec.model.arch](spec.model, shape, classes, spec.regularization.dropout)
