"""Whether mirrored images keep their class: the pictures decide, by their nearest neighbours."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from workers.training.data.images import ImageSet

MOST_PROBES, MOST_NEIGHBOURS = 300, 1_000  # images; with these it takes some 10 ms
SIDE = 12  # pixels to which images are brought down


def mirroring(images: ImageSet, train: Tensor) -> dict[str, int] | None:
    """Of `images` training images, how many have a nearest neighbour of their own class: as they are (`right`), and
    mirrored (`mirrored`). Distances are Euclidean ones of the pixels. None for fewer than two images.

    `train` int64 [N] are the indices of the training images.
    """
    if len(train) < 2:  # noqa: PLR2004 - an image is no neighbour of itself
        return None
    spaced = torch.linspace(0, len(train) - 1, min(len(train), MOST_PROBES + MOST_NEIGHBOURS)).round().long()
    chosen = train[torch.unique(spaced)]
    probes = chosen[:: -(-len(chosen) // MOST_PROBES)] if len(chosen) > 2 * MOST_PROBES else chosen[::2]
    others = chosen[~torch.isin(chosen, probes)]
    pixels, known = _small(images.take(probes)), _small(images.take(others)).flatten(1)

    def right(probed: Tensor) -> int:
        nearest = torch.cdist(probed.flatten(1), known).argmin(1)
        return int((images.labels[others[nearest]] == images.labels[probes]).sum())

    return {"images": len(probes), "right": right(pixels), "mirrored": right(pixels.flip(3))}


def _small(pixels: Tensor) -> Tensor:
    height, width = (min(SIDE, side) for side in pixels.shape[2:])
    return adaptive_avg_pool2d(pixels.float(), (height, width))
