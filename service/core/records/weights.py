"""Uploaded weights: what a tenant has sent, checked and kept as safetensors."""

import re
from dataclasses import dataclass

from service.core.storage import Artifact

WEIGHTS_ID = re.compile(r"wgt_[0-9a-f]{20}")
WEIGHTS = "weights"  # the folder of the storage


@dataclass(frozen=True)
class NewWeights:
    """Weights of the architecture `arch` as they are added. `sha256` and `bytes` are those of the file that was sent.

    `stored` is the checked file. `classes` are the outputs of the last layer, None if it is missing; `channels` those
    of the images.
    """

    id: str
    name: str
    arch: str
    classes: int | None
    channels: int
    bytes: int
    sha256: str
    stored: Artifact


@dataclass(frozen=True)
class Weights(NewWeights):
    """Weights as stored. Times are unix seconds."""

    created_at: float
