"""How strong the operations of a policy may be: ranges divided into 31 bins, and a random direction."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.training.data.augmentation.draws import CPU, chances
from workers.training.data.augmentation.operations import OPERATIONS

BINS = 31
SIGNED = {"shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness"}


@dataclass(frozen=True)
class Space:
    """The magnitudes of the last bin. In the first bin nothing happens; solarize then goes down from 1 to 0."""

    shear: float  # pixels a pixel
    translate_x: float  # pixels
    translate_y: float  # pixels
    rotate: float  # degrees
    tone: float  # of brightness, color, contrast and sharpness
    posterize: int  # bits that are left of the eight

    def magnitudes(self) -> Tensor:
        """float32 [operations, BINS], in the order of OPERATIONS; 0 where an operation has no magnitude."""
        ends = {"shear_x": self.shear, "shear_y": self.shear, "rotate": self.rotate}
        ends |= {"translate_x": self.translate_x, "translate_y": self.translate_y}
        ends |= dict.fromkeys(("brightness", "color", "contrast", "sharpness"), self.tone)
        rows = {name: torch.linspace(0, end, BINS) for name, end in ends.items()}
        rows["posterize"] = (8 - torch.arange(BINS) / ((BINS - 1) / (8 - self.posterize))).round()
        rows["solarize"] = torch.linspace(1, 0, BINS)
        return torch.stack([rows.get(name, torch.zeros(BINS)) for name in OPERATIONS])


def in_a_random_direction(magnitudes: Tensor, operations: Tensor, random: torch.Generator) -> Tensor:
    """float32 [N]: each magnitude negative with probability one half where its operation has two directions."""
    signed = torch.tensor([name in SIGNED for name in OPERATIONS])
    negative = chances((len(operations),), 0.5, random, CPU) & signed[operations]
    return torch.where(negative, -magnitudes, magnitudes)
