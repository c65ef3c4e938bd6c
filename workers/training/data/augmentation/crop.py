"""Random crops of zero-padded images.

Lee, Xie, Gallagher, Zhang and Tu, "Deeply-Supervised Nets" (2015); the standard on CIFAR since He, Zhang, Ren and Sun,
"Deep Residual Learning for Image Recognition" (2016), section 4.2, with a padding of 4.
"""

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import integers


def random_crop(images: Tensor, padding: int, random: torch.Generator) -> Tensor:
    """Pad images [N, C, H, W] with `padding` >= 0 zeros on each side and crop each at a random place to H x W.

    Each of the (2 * padding + 1)^2 places has the same probability. The result is channels last.
    """
    n, channels, height, width = images.shape
    rows, columns = height + 2 * padding, width + 2 * padding
    padded = images.new_zeros(n, rows, columns, channels)
    padded[:, padding : padding + height, padding : padding + width] = images.permute(0, 2, 3, 1)
    top, left = integers((2, n), 0, 2 * padding + 1, random, images.device)
    # An overlapping view of every run of `width` pixels in the padded batch. A crop copies `height` of these runs.
    runs = padded.view(-1).unfold(0, width * channels, channels)
    first = (torch.arange(n, device=images.device) * rows + top) * columns + left
    chosen = first[:, None] + torch.arange(height, device=images.device) * columns
    return runs.index_select(0, chosen.view(-1)).view(n, height, width, channels).permute(0, 3, 1, 2)
