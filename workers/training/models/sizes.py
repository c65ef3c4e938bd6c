"""The input size of transformers with a fixed grid (ViT, MaxViT), and resizing images to it."""

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import MaxVit
from torchvision.models.maxvit import PartitionAttentionLayer

from workers.training.models.windows import Size

MAXVIT = "maxvit_t"
LEAST_PATCHES = 4  # minimum along a side of a ViT
PARTITION = 7  # side of MaxViT's windows and grids
MAXVIT_HALVINGS = 5  # MaxViT's last maps have 1/32 of the side of the image


def patch_size(arch: str) -> int | None:
    """The side of a ViT's patches in pixels, from the end of its name; None for other architectures."""
    return int(arch.rsplit("_", 1)[1]) if arch.startswith("vit_") else None


def vit_side(size: Size, patch: int) -> int:
    """The side in pixels of the square images for a ViT with patches of side `patch`.

    The next multiple of the patch that covers the longer side of `size`, and at least 4 patches, because fewer tokens
    carry too little information. The patches keep their size, so that pretrained weights fit.
    """
    return max(-(-max(size) // patch), LEAST_PATCHES) * patch


def maxvit_side(size: Size) -> tuple[int, int]:
    """(side in pixels of the square images for MaxViT, number of its first halvings that are removed, of five).

    Every map, including the last, must divide into partitions of 7x7. Halvings are removed while one partition still
    covers the last map. Then the image is enlarged to the next multiple of 7 * 2^(remaining halvings): 28x28 keeps its
    size and 32x32 becomes 56x56, both with a last map of 7x7.
    """
    longer, removed = max(size), 0
    while removed < MAXVIT_HALVINGS and PARTITION << (MAXVIT_HALVINGS - removed - 1) >= longer:
        removed += 1
    unit = PARTITION << (MAXVIT_HALVINGS - removed)  # pixels of the image for one partition of the last map
    return -(-longer // unit) * unit, removed


def fit_partitions(model: MaxVit, side: int, removed: int) -> None:
    """Set the map sizes in MaxViT's attention layers, in place. The stem halves the image first, then each block."""
    for number, block in enumerate(model.blocks):
        map_side = side >> max(number + 2 - removed, 0)
        for module in block.modules():
            if isinstance(module, PartitionAttentionLayer):
                module.grid_size = (map_side, map_side)
                module.n_partitions = map_side // PARTITION
                if module.partition_type == "window":
                    module.g = module.n_partitions
                else:
                    module.p = module.n_partitions


def input_side(arch: str, size: Size) -> int | None:
    """The side in pixels of the square that a network resizes images of this size to; None if it takes them as they
    are.
    """
    patch = patch_size(arch)
    side = vit_side(size, patch) if patch else maxvit_side(size)[0] if arch == MAXVIT else None
    return None if side is None or size == (side, side) else side


def resize_input(model: nn.Module, target: Size) -> None:
    """Make the model resize its images to the size `target` in pixels, bilinearly, by a hook in place."""
    model.register_forward_pre_hook(partial(_resize, target=target))


def _resize(model: nn.Module, inputs: tuple[Any, ...], target: Size) -> tuple[Tensor]:
    (images,) = inputs
    return (F.interpolate(images, size=target, mode="bilinear", align_corners=False),)
