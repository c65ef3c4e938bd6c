"""The layers of a network in their order, with the parameters of each, for learning rates by depth."""

from typing import Any

from torch import nn

from workers.training.models.layers import ResidualBlock
from workers.training.models.stochastic_depth import BRANCH_ENDS

BLOCKS: tuple[type[nn.Module], ...] = (ResidualBlock, *BRANCH_ENDS)


def layers_by_depth(model: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of each layer, from the input to the output.

    A layer is a residual block, or outside of one a linear layer or convolution. Normalization and other parameters
    belong to the layer before them, those before the first layer to the first one. Networks of timm have their own
    division, made for this purpose.
    """
    if hasattr(model, "group_matcher"):
        return _timm_layers(model)
    layers: list[list[nn.Parameter]] = [[]]
    block, has_weights = None, False
    for name, module in model.named_modules():
        is_inside = block is not None and name.startswith(f"{block}.")
        begins_block = not is_inside and isinstance(module, BLOCKS)
        if begins_block:
            block = name
        is_layer = begins_block or (not is_inside and isinstance(module, nn.Linear | nn.Conv2d))
        if is_layer and has_weights:
            layers.append([])
        has_weights = has_weights or is_layer
        layers[-1].extend(module.parameters(recurse=False))
    return layers


def _timm_layers(model: Any) -> list[list[nn.Parameter]]:
    from timm.models import group_parameters  # noqa: PLC0415 - loaded already, where there is such a network

    parameters = dict(model.named_parameters())
    names = group_parameters(model, model.group_matcher(coarse=False))
    return [[parameters[name] for name in names[layer]] for layer in sorted(names)]
