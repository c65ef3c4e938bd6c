"""A table of torchvision's classification networks for processes without torch: parameters and kept activations.

`python -m workers.tools.describe` writes the table from the networks that workers build.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")


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
    patch: int = 0  # side in pixels of the patches with learned position embeddings; 0: no patches
    least_patches: int = 0  # minimum number of patches along a side
    per_position: int = 0  # additional parameters for each patch

    def parameters(self, channels: int, height: int, width: int, classes: int) -> int:
        """The exact number of parameters for images [C, H, W]."""
        patches = self._patches(height, width)
        return self.fixed + self.per_channel * channels + self.per_class * classes + self.per_position * patches

    def _patches(self, height: int, width: int) -> int:
        if not self.patch:
            return 0
        return int(max(-(-max(height, width) // self.patch), self.least_patches) ** 2)

    def activations(self, height: int, width: int) -> int:
        """Estimate of the fp32 values kept per image for the backward pass.

        Interpolated linearly in the image's area between the measured sides, and in proportion to it beyond them.
        """
        area = height * width
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


ARCHITECTURES = read(FILE)
