"""The classifier at the end of a network: its last layer, its dropout, and freezing all layers before it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from workers.training.regularization.dropout import Dropout

# Modules of torchvision with the dropout of a classifier. The dropout of attention (swin, maxvit) stays 0.
CLASSIFIERS = ("classifier", "dropout")
FEATURES_NDIM = 2  # of features [N, F]


def head_of(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """(name, module) of the last layer, which computes the logits: a convolution in squeezenet, else linear."""
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return layers[-1]


def features_of(head: nn.Linear | nn.Conv2d) -> int:
    """The number of input features of the last layer."""
    return head.in_features if isinstance(head, nn.Linear) else head.in_channels


@dataclass(frozen=True)
class Tail:
    """The end of a network: its last layer, and the dropout right before it, if there is any."""

    dropout: nn.Module | None
    head: nn.Linear

    def __call__(self, features: Tensor) -> Tensor:
        """The logits [N, classes] of features [N, F], the inputs of the last layer without dropout."""
        logits: Tensor = self.head(self.dropout(features) if self.dropout else features)
        return logits


def tail_of(model: nn.Module) -> Tail | None:
    """The end of the network; None where the last layer is a convolution, or another module follows it."""
    name, head = head_of(model)
    leaves = [module for module in model.modules() if not list(module.children()) and type(module) is not nn.Identity]
    if not isinstance(head, nn.Linear) or leaves[-1] is not head:
        return None
    before = leaves[-2] if leaves[1:] else None
    parent = model.get_submodule(name.rpartition(".")[0])
    is_dropout = isinstance(before, nn.Dropout | Dropout) and before in parent.children()
    return Tail(before if is_dropout else None, head)


def forward_of(model: nn.Module, inputs: Tensor) -> nn.Module | Tail:
    """What gives the logits [N, classes] of inputs like these: images [N, C, H, W], or features [N, F] (see `Tail`)."""
    return (tail_of(model) if inputs.ndim == FEATURES_NDIM else None) or model


def freeze_backbone(model: nn.Module) -> None:
    """Freeze all parameters but those of the last layer, in place."""
    model.requires_grad_(False)
    head_of(model)[1].requires_grad_(True)


def set_frozen(model: nn.Module, *, frozen: bool) -> None:
    """Freeze all parameters but those of the last layer, or none, in place."""
    model.requires_grad_(True)
    if frozen:
        freeze_backbone(model)


def set_dropout(model: nn.Module, p: float) -> None:
    """Set the dropout probability p, 0 <= p < 1, where the paper of the architecture has dropout.

    p replaces torchvision's rates in the dropout modules of the classifier; in ViT in those of the whole encoder,
    "after every dense layer except for the qkv-projections and directly after adding positional- to patch embeddings"
    (Dosovitskiy et al., 2021). In a network without them a hook applies dropout to the input of the last layer. A hook
    adds no module, so the keys of the state_dict stay the same.
    """
    own = [module for name, module in model.named_modules() if isinstance(module, nn.Dropout) and _counts(model, name)]
    for module in own:
        module.p = p
    if not own:
        drop_before_head(model, p)


def drop_before_head(model: nn.Module, p: float) -> None:
    """Apply dropout to the input of the last layer, by a hook in place."""
    if p:
        head_of(model)[1].register_forward_pre_hook(partial(_drop, p=p))


def _counts(model: nn.Module, name: str) -> bool:
    return isinstance(model, VisionTransformer) or name.partition(".")[0] in CLASSIFIERS


def _drop(head: nn.Module, inputs: tuple[Any, ...], p: float) -> tuple[Tensor]:
    (features,) = inputs
    return (F.dropout(features, p, head.training),)
