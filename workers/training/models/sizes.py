"""Transformers that divide the image into a fixed grid: how they are built for a size, and images brought up to it."""

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import MaxVit
from torchvision.models.maxvit import PartitionAttentionLayer

from workers.training.models.windows import Size

LEAST_PATCHES = 4  # a side, of a ViT
PARTITION = 7  # side of MaxViT's windows and grids
MAXVIT_HALVINGS = 5  # its last maps have 1/32 of the image's side


def patch_size(arch: str) -> int | None:
    """The side of a ViT's patches in pixels, which its name ends with; None for other architectures."""
    return int(arch.rsplit("_", 1)[1]) if arch.startswith("vit_") else None


def vit_side(size: Size, patch: int) -> int:
    """The side of the square image that a ViT with patches of this side is built for.

    The next multiple of the patch that holds the longer side, and at least 4 patches: fewer tokens say too little. The
    patches themselves keep their size, so that pretrained weights fit.
    """
    return max(-(-max(size) // patch), LEAST_PATCHES) * patch


def maxvit_side(size: Size) -> tuple[int, int]:
    """(the side of the square image that MaxViT gets, how many of its five halvings are taken back, the first ones).

    Every map must divide into partitions of 7x7, also the last. Halvings are taken back while one partition still
    covers the last map; then the image goes up to the next multiple of 7 times the halvings that are left: 28x28 stays
    as it is and 32x32 becomes 56x56, both with a last map of 7x7.
    """
    longer, taken_back = max(size), 0
    while taken_back < MAXVIT_HALVINGS and PARTITION << (MAXVIT_HALVINGS - taken_back - 1) >= longer:
        taken_back += 1
    unit = PARTITION << (MAXVIT_HALVINGS - taken_back)  # pixels of the image that become one partition of the last map
    return -(-longer // unit) * unit, taken_back


def fit_partitions(model: MaxVit, side: int, taken_back: int) -> None:
    """Tell MaxViT's attention the sizes of its maps, in place: the stem halves the image first, then each block."""
    for number, block in enumerate(model.blocks):
        map_side = side >> max(number + 2 - taken_back, 0)
        for module in block.modules():
            if isinstance(module, PartitionAttentionLayer):
                module.grid_size = (map_side, map_side)
                module.n_partitions = map_side // PARTITION
                if module.partition_type == "window":
                    module.g = module.n_partitions
                else:
                    module.p = module.n_partitions


def resize_input(model: nn.Module, size: Size, side: int) -> None:
    """Let the model bring its images from `size` to a square, bilinearly, by a hook: no module is added."""
    if size != (side, side):
        model.register_forward_pre_hook(partial(_resize, side=side))


def _resize(model: nn.Module, inputs: tuple[Any, ...], side: int) -> tuple[Tensor]:
    (images,) = inputs
    return (F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False),)
