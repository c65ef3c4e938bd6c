"""Building the network of a spec, with weights drawn from its seed."""

import importlib
from collections.abc import Callable

import torch
from torch import nn

from service.core.spec import JobSpec, Torchvision, layers_of
from service.core.spec.architectures import TIMM
from service.core.spec.models import weights_of
from service.core.spec.shapes import place
from service.core.spec.transfer import IMAGENET
from workers.training.models.classifier import freeze_backbone
from workers.training.models.layers import build_layers
from workers.training.models.torchvision import build_torchvision
from workers.training.seeds import derive
from workers.training.without_compiler import COMPILER


def build_model(spec: JobSpec, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network of the spec for images of shape (channels, height, width), with weights drawn from its seed.

    The network maps float images [N, C, H, W] to logits [N, classes]. The random state of the process is unchanged.
    Weights that the spec names by an id are for `load_weights`.

    Raises Invalid or ValueError if the images do not fit, PretrainedUnavailable if weights cannot be loaded.
    """
    if spec.compile == "on":
        importlib.import_module(COMPILER)  # before anything is built without it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(spec.seed, "init"))
        network = _network(spec, shape, classes)
    if spec.model.freeze == "backbone":
        freeze_backbone(network)
    return network


def _network(spec: JobSpec, shape: tuple[int, int, int], classes: int) -> nn.Module:
    model, regularization = spec.model, spec.regularization
    if isinstance(model, Torchvision):
        return _builder(model.arch)(
            model.arch,
            shape,
            classes,
            dropout=regularization.dropout,
            stochastic_depth=regularization.stochastic_depth,
            pretrained=weights_of(model) == IMAGENET,
        )
    placed = place(layers_of(spec) or (), shape, classes, "/model/layers")
    return build_layers(placed, regularization.stochastic_depth)


def _builder(arch: str) -> Callable[..., nn.Module]:
    """What builds a network by its name. timm is loaded only for a network of its own."""
    if not arch.startswith(TIMM):
        return build_torchvision
    from workers.training.models.timm_networks import build_timm  # noqa: PLC0415 - it takes seconds

    return build_timm
