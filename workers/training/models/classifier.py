"""The end of a classification network: its last layer, the dropout before it, and training it alone."""

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

# Where torchvision keeps the dropout of its classifiers. Elsewhere (swin, maxvit) it is the attention's and stays off.
CLASSIFIERS = ("classifier", "dropout")


def head_of(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """(name, module) of the last layer, whose outputs are the logits: a convolution in squeezenet, else linear."""
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return layers[-1]


def features_of(head: nn.Linear | nn.Conv2d) -> int:
    """How many features the last layer reads."""
    return head.in_features if isinstance(head, nn.Linear) else head.in_channels


def freeze_backbone(model: nn.Module) -> None:
    """Leave only the last layer to be trained, in place."""
    model.requires_grad_(False)
    head_of(model)[1].requires_grad_(True)


def set_dropout(model: nn.Module, p: float) -> None:
    """Drop with probability p, 0 <= p < 1, where the family's paper does, in place of torchvision's own rates.

    The network's own dropout modules of the classifier take the rate; in ViT those of the whole encoder, "after every
    dense layer except for the qkv-projections and directly after adding positional- to patch embeddings" (Dosovitskiy
    et al., 2021). Where there is none, the last layer's input is dropped by a hook, which adds no module: no key of the
    state_dict moves.
    """
    own = [module for name, module in model.named_modules() if isinstance(module, nn.Dropout) and _counts(model, name)]
    for module in own:
        module.p = p
    if p and not own:
        head_of(model)[1].register_forward_pre_hook(partial(_drop, p=p))


def _counts(model: nn.Module, name: str) -> bool:
    return isinstance(model, VisionTransformer) or name.partition(".")[0] in CLASSIFIERS


def _drop(head: nn.Module, inputs: tuple[Any, ...], p: float) -> tuple[Tensor]:
    (features,) = inputs
    return (F.dropout(features, p, head.training),)
