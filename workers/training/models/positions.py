"""Position embeddings of vision transformers, which are interpolated to the size of the images.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021), section 3.2.
"""

from typing import Any

from torch import Tensor
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

OF_TIMM = "pos_embed"  # the name in timm's networks


def with_positions(state: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """The state_dict with its position embeddings [1, tokens, width] interpolated to the grid of patches of the model.

    Those of other networks, and of the same grid, stay as they are.
    """
    if isinstance(model, VisionTransformer):
        return dict(interpolate_embeddings(model.image_size, model.patch_size, state))
    positions, own = state.get(OF_TIMM), getattr(model, OF_TIMM, None)
    if positions is None or own is None or positions.shape == own.shape:
        return state
    from timm.layers import resample_abs_pos_embed  # noqa: PLC0415 - it takes seconds; loaded with the network

    grid = model.patch_embed.grid_size
    others = own.shape[1] - grid[0] * grid[1]  # tokens that are no patches
    return state | {OF_TIMM: resample_abs_pos_embed(positions, list(grid), num_prefix_tokens=others)}
