"""torchvision's classification networks by name, adapted to any channels, image size and number of classes."""

from typing import Any

from torch import nn
from torchvision.models import get_model

from workers.training.models.classifier import set_dropout
from workers.training.models.pretrained import load_pretrained
from workers.training.models.sizes import (
    MAXVIT,
    fit_partitions,
    input_side,
    maxvit_side,
    patch_size,
    resize_input,
    vit_side,
)
from workers.training.models.stem import fit_channels
from workers.training.models.stochastic_depth import set_stochastic_depth
from workers.training.models.strides import apply_strides, fit_strides, plans_of
from workers.training.models.windows import Size, windows


def build_torchvision(
    arch: str,
    shape: tuple[int, int, int],
    classes: int,
    *,
    dropout: float,
    stochastic_depth: float,
    pretrained: bool,
) -> nn.Module:
    """A network from float images [N, C, H, W] of exactly `shape` (C, H, W) to logits [N, classes].

    The state_dict has torchvision's names and shapes, except for the first convolution if C is not 3, and the position
    embeddings of a ViT. For color images of 224 pixels the network is torchvision's own, without auxiliary classifiers.
    Fresh weights come from torch's global generator, with torchvision's initialization.

    For small images the strides are reduced to keep a last map of 4x4 if possible (module `strides`); ViT and MaxViT
    resize the images (module `sizes`). `dropout` and `stochastic_depth` (probabilities from 0 to below 1) replace
    torchvision's rates.

    Raises ValueError for images that are too small and for stochastic depth without residual branches, and
    PretrainedUnavailable if the weights cannot be loaded.
    """
    channels, *size = shape
    model = _sized(arch, (size[0], size[1]), classes, pretrained)
    fit_channels(model, channels, pretrained=pretrained)
    set_dropout(model, dropout)
    set_stochastic_depth(model, stochastic_depth)
    return model


def _sized(arch: str, size: Size, classes: int, pretrained: bool) -> nn.Module:
    """The network for color images of this size."""
    model = _network(arch, pretrained, num_classes=classes, **options_of(arch, size))
    if arch == MAXVIT:
        side, removed = maxvit_side(size)
        apply_strides(model, windows(arch), list(plans_of(windows(arch)))[removed])
        fit_partitions(model, side, removed)
    elif not patch_size(arch):
        fit_strides(model, arch, size)
    if square := input_side(arch, size):
        resize_input(model, (square, square))
    return model


def options_of(arch: str, size: Size) -> dict[str, Any]:
    """The options of torchvision's function for a network, for images of this size, without the number of classes."""
    if patch := patch_size(arch):
        return {"image_size": vit_side(size, patch)}
    return {"aux_logits": False, "init_weights": True} if arch in ("googlenet", "inception_v3") else {}


def _network(arch: str, pretrained: bool, **options: Any) -> nn.Module:
    model: nn.Module = get_model(arch, **options)
    if pretrained:
        load_pretrained(model, arch)
    return model
