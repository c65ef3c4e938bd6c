"""Mixup: training on convex combinations of pairs of images.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization" (2018).
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.layout import select


def mixup(images: Tensor, mixing: float, permutation: Tensor) -> Tensor:
    """mixing * images + (1 - mixing) * images[permutation].

    images float [N, C, H, W], permutation int64 [N] on the same device, mixing from 0 to 1. With mixing 1 the result is
    exactly the images.
    """
    return torch.lerp(images, select(images, permutation), 1 - mixing)
