"""Stochastic depth: residual branches are skipped in training, for each image separately.

Huang et al., "Deep Networks with Stochastic Depth" (2016).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn
from torchvision.models import convnext, efficientnet, maxvit, mnasnet, mobilenetv2, mobilenetv3, regnet, resnet
from torchvision.models import swin_transformer as swin
from torchvision.models import vision_transformer as vit
from torchvision.ops import StochasticDepth, stochastic_depth

# The last module of each branch, by the type of the residual block.
BRANCH_ENDS: Mapping[type[nn.Module], tuple[str, ...]] = {
    resnet.BasicBlock: ("bn2",),
    resnet.Bottleneck: ("bn3",),
    regnet.ResBottleneckBlock: ("f",),
    mobilenetv2.InvertedResidual: ("conv",),
    mobilenetv3.InvertedResidual: ("block",),
    mnasnet._InvertedResidual: ("layers",),
    efficientnet.MBConv: ("stochastic_depth",),
    efficientnet.FusedMBConv: ("stochastic_depth",),
    convnext.CNBlock: ("stochastic_depth",),
    swin.SwinTransformerBlock: ("stochastic_depth",),  # of both branches
    swin.SwinTransformerBlockV2: ("stochastic_depth",),
    vit.EncoderBlock: ("dropout", "mlp"),
    maxvit.MaxVitLayer: (
        "layers.MBconv.stochastic_depth",
        "layers.window_attention.stochastic_dropout",
        "layers.grid_attention.stochastic_dropout",
    ),
}
IS_RESIDUAL = ("use_res_connect", "apply_residual")  # attributes that are false in a block without a shortcut


def set_stochastic_depth(model: nn.Module, p: float) -> None:
    """Skip the l-th of L residual blocks with probability l / L * p, 0 <= p < 1. This replaces torchvision's rates.

    A branch that is kept is divided by the probability of keeping it, so that its expected value is unchanged. All
    branches of a block (attention and feed-forward) have the same rate, as in torchvision. The rate is set in
    torchvision's own modules; in networks without them a hook on the last module of the branch skips it, so the keys of
    the state_dict stay the same. Raises ValueError for p > 0 in a network without residual branches.
    """
    for module in model.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
    blocks = residual_blocks(model)
    if p and not blocks:
        raise ValueError(f"stochastic depth needs residual branches, and {type(model).__name__} has none")
    if p:
        for depth, ends in enumerate(blocks, 1):
            _set_rate(ends, depth / len(blocks) * p)


def residual_blocks(model: nn.Module) -> list[tuple[nn.Module, ...]]:
    """The last modules of the branches of each residual block, from the input to the output."""
    blocks = [module for module in model.modules() if type(module) in BRANCH_ENDS and _is_residual(module)]
    return [tuple(block.get_submodule(end) for end in BRANCH_ENDS[type(block)]) for block in blocks]


def _is_residual(block: nn.Module) -> bool:
    return all(getattr(block, flag, True) for flag in IS_RESIDUAL)


def _set_rate(ends: tuple[nn.Module, ...], rate: float) -> None:
    for end in ends:
        if isinstance(end, StochasticDepth):
            end.p = rate
        else:
            end.register_forward_hook(partial(_skip, rate=rate))


def _skip(end: nn.Module, inputs: tuple[Any, ...], output: Tensor, rate: float) -> Tensor:
    skipped: Tensor = stochastic_depth(output, rate, "row", end.training)
    return skipped
