"""AugMix: each image is mixed with several chains of random operations on it.

Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan, "AugMix: A Simple Data Processing Method to Improve Robustness
and Uncertainty" (2020). Without the consistency loss of the paper, which needs three passes for each image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, integers, send, uniform
from workers.training.data.augmentation.operations import OPERATIONS, apply
from workers.training.data.augmentation.space import in_a_random_direction

CHAINS, LONGEST = 3, 3  # the chains of an image, and the operations of a chain
SEVERITY = 3.0  # the highest level of an operation, of 10
LEAST_LEVEL = 0.1
# Brightness, color, contrast and sharpness are left out, because the paper tests robustness against them.
USED = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
NUMBERS = torch.tensor([list(OPERATIONS).index(name) for name in USED])
IDENTITY = list(OPERATIONS).index("identity")


@dataclass(frozen=True)
class Mixture:
    """What is drawn for N images. All tensors are on the CPU.

    `operations` int64 and `strengths` float32 are [CHAINS, LONGEST, N]; a shorter chain ends with the identity.
    `weights` float32 [CHAINS, N] of the chains sum to 1, `kept` float32 [N] is the weight of the image itself, 0 to 1.
    """

    operations: Tensor
    strengths: Tensor
    weights: Tensor
    kept: Tensor


def augmix(images: Tensor, random: torch.Generator) -> Tensor:
    """Mix each uint8 image of [N, C, H, W] with its chains."""
    return mixed(images, drawn(images.shape, random))


def drawn(shape: torch.Size, random: torch.Generator) -> Mixture:
    """The draws for images of this shape: operations and levels uniform, weights Dirichlet(1), `kept` Beta(1, 1)."""
    n, _, height, width = shape
    chosen = NUMBERS[integers((CHAINS, LONGEST, n), 0, len(USED), random, CPU)]
    lengths = integers((CHAINS, 1, n), 1, LONGEST + 1, random, CPU)
    operations = torch.where(torch.arange(LONGEST).view(1, -1, 1) < lengths, chosen, IDENTITY)
    levels = uniform((CHAINS, LONGEST, n), LEAST_LEVEL, SEVERITY, random, CPU)
    flat, strengths = operations.flatten(), _strengths(levels, height, width)
    chosen_strengths = strengths.flatten(1).gather(0, flat[None])[0]
    signed = in_a_random_direction(chosen_strengths, flat, random).view_as(levels)
    waits = -torch.log1p(-torch.rand((CHAINS, n), generator=random))  # exponential: their shares are Dirichlet(1)
    return Mixture(operations, signed, waits / waits.sum(0), torch.rand(n, generator=random))


def mixed(images: Tensor, draws: Mixture) -> Tensor:
    """The mixtures of uint8 images [N, C, H, W] with the drawn chains, rounded."""
    device = images.device
    kept = send(draws.kept, device).view(-1, 1, 1, 1)
    result = kept * images
    for operations, strengths, weights in zip(draws.operations, draws.strengths, draws.weights, strict=True):
        chain = images
        for each, strength in zip(operations, strengths, strict=True):
            chain = apply(chain, each, strength)
        result += (1 - kept) * send(weights, device).view(-1, 1, 1, 1) * chain
    return result.round_().to(torch.uint8)


def _strengths(levels: Tensor, height: int, width: int) -> Tensor:
    """float32 [operations, *levels.shape], in the order of OPERATIONS: the magnitudes of the paper at these levels."""
    share = levels / 10
    known = {
        "posterize": 4 - (4 * share).trunc(),  # bits that remain
        "rotate": (30 * share).trunc(),  # degrees
        "solarize": (256 - (256 * share).trunc()) / 255,
        "shear_x": 0.3 * share,
        "shear_y": 0.3 * share,
        "translate_x": (width / 3 * share).trunc(),
        "translate_y": (height / 3 * share).trunc(),
    }
    return torch.stack([known.get(name, torch.zeros_like(levels)) for name in OPERATIONS])
