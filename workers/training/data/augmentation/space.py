"""The strengths of the operations of a policy: ranges divided into 31 bins, with a random direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, chances
from workers.training.data.augmentation.operations import OPERATIONS

BINS = 31
SIGNED = {"shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness"}


@dataclass(frozen=True)
class Space:
    """The magnitudes of the last bin. The first bin changes nothing; the threshold of solarize falls from 1 to 0."""

    shear: float  # pixels per pixel
    translate_x: float  # pixels
    translate_y: float  # pixels
    rotate: float  # degrees
    tone: float  # of brightness, color, contrast and sharpness
    posterize: int  # bits that remain of eight

    def magnitudes(self) -> Tensor:
        """float32 [operations, BINS], in the order of OPERATIONS; 0 for an operation without a magnitude."""
        ends = {"shear_x": self.shear, "shear_y": self.shear, "rotate": self.rotate}
        ends |= {"translate_x": self.translate_x, "translate_y": self.translate_y}
        ends |= dict.fromkeys(("brightness", "color", "contrast", "sharpness"), self.tone)
        rows = {name: torch.linspace(0, end, BINS) for name, end in ends.items()}
        rows["posterize"] = (8 - torch.arange(BINS) / ((BINS - 1) / (8 - self.posterize))).round()
        rows["solarize"] = torch.linspace(1, 0, BINS)
        return torch.stack([rows.get(name, torch.zeros(BINS)) for name in OPERATIONS])


def in_a_random_direction(magnitudes: Tensor, operations: Tensor, random: torch.Generator) -> Tensor:
    """float32 [N]: the magnitudes, each negated with probability one half if its operation has two directions.

    magnitudes float32 [N] and operations int64 [N] are on the CPU.
    """
    signed = torch.tensor([name in SIGNED for name in OPERATIONS])
    negative = chances((len(operations),), 0.5, random, CPU) & signed[operations]
    return torch.where(negative, -magnitudes, magnitudes)
