"""What one trial trains."""

from dataclasses import dataclass
from typing import Literal

Schedule = Literal["onecycle", "cosine", "constant"]


@dataclass(frozen=True)
class Config:
    """A network and how to train it.

    `channels` are those of each block, `hidden` the units of the hidden layer (0: none). `shift` is in pixels and
    `rotation` in degrees, each the most to either side. An `ema_decay` of 0 averages no weights.
    """

    channels: tuple[int, ...]
    hidden: int
    batch_norm: bool
    dropout: float
    lr: float
    weight_decay: float
    schedule: Schedule
    label_smoothing: float
    ema_decay: float
    batch_size: int
    shift: int
    rotation: float
    mirror: bool
