"""Tables of the classification networks of torchvision and timm for processes without torch: parameters and kept
activations.

`python -m workers.tools.describe` writes the tables from the networks that workers build.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
TIMM_FILE = Path(__file__).with_name("timm.json")
TIMM = "timm/"  # begins the names of timm's networks


@dataclass(frozen=True)
class Architecture:
    """One network, for images with any number of channels, any size, and any number of classes."""

    name: str
    fixed: int  # parameters that do not depend on the images and classes
    per_channel: int  # additional parameters for each channel of the images
    per_class: int  # additional parameters for each class, in the last layer
    features: int  # inputs of the last layer
    least_side: int  # pixels; images with a shorter side are refused
    has_residual_branches: bool
    has_batch_norm: bool
    kept: tuple[tuple[int, int], ...]  # (side of a square image in pixels, values kept for the backward pass)
    most_multiplications: int  # in the forward pass of one image of the largest of these sides
    ends_linear: bool = True  # whether the last layer is linear, and its outputs are those of the network
    drops_within: bool = False  # whether the option `dropout` acts before other layers than the last one too
    input_side: int = 0  # pixels; images are resized to such squares; 0: they keep their size
    enlarged_to: int = 0  # pixels; images with a shorter side are enlarged until it has this length
    patch: int = 0  # side in pixels of the patches with learned position embeddings; 0: no patches
    least_patches: int = 0  # minimum number of patches along a side
    per_position: int = 0  # additional parameters for each patch

    def parameters(self, channels: int, height: int, width: int, classes: int) -> int:
        """The exact number of parameters for images [C, H, W]."""
        patches = self._patches(height, width)
        return self.fixed + self.per_channel * channels + self.per_class * classes + self.per_position * patches

    def _patches(self, height: int, width: int) -> int:
        """The number of patches: as many along each side as cover the longer one, at least `least_patches`."""
        return max(-(-max(height, width) // self.patch), self.least_patches) ** 2 if self.patch else 0

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """The height and width in pixels that the layers get for images of this size."""
        if self.patch:
            side = isqrt(self._patches(height, width)) * self.patch
            return side, side
        if self.input_side:
            return self.input_side, self.input_side
        factor = max(1.0, self.enlarged_to / min(height, width))
        return round(factor * height), round(factor * width)

    def multiplications(self, height: int, width: int) -> int:
        """Estimate of the multiplications in the forward pass of one image: in proportion to the values kept."""
        return round(self.most_multiplications * self.activations(height, width) / self.kept[-1][1])

    def activations(self, height: int, width: int) -> int:
        """Estimate of the fp32 values kept per image for the backward pass.

        Interpolated linearly in the image's area between the measured sides, and in proportion to it beyond them.
        """
        rows, columns = self.input_size(height, width)
        area = rows * columns
        points = [(0, 0), *((side * side, values) for side, values in self.kept)]
        for (low, fewer), (high, more) in pairwise(points):
            if area <= high:
                return round(fewer + (more - fewer) * (area - low) / (high - low))
        largest, most = points[-1]
        return round(most * area / largest)


def read(file: Path) -> Mapping[str, Architecture]:
    """The table in a JSON file: architectures by name."""
    rows = json.loads(file.read_text())
    return {name: _architecture(name, row) for name, row in rows.items()}


def _architecture(name: str, row: dict[str, Any]) -> Architecture:
    kept = tuple((side, values) for side, values in row.pop("kept"))
    return Architecture(name, kept=kept, **row)


TORCHVISION = read(FILE)
ARCHITECTURES = {**TORCHVISION, **read(TIMM_FILE)}
