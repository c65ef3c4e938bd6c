"""The decisions about pixels that are made once for a data set, and that predictions with its models repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ImageColor

Colour = tuple[int, int, int]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
NAMES: Mapping[Colour, str] = {BLACK: "black", WHITE: "white"}


@dataclass(frozen=True)
class Preprocessing:
    """How samples of 16 bits become 8, and on which colour (red, green, blue, 0 to 255) transparent pixels lie.

    `sixteen_bit_divisor` is 2**(bits - 8) where the samples of the set use `bits` of their 16 bits. The defaults are
    those of every set that was read before there was a choice.
    """

    sixteen_bit_divisor: int = 256
    background: Colour = BLACK

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Preprocessing":
        """From what `to_dict` gives; other keys are ignored, and missing ones have their defaults."""
        usual = cls()
        red, green, blue, *_ = ImageColor.getrgb(data.get("background", usual.background_name))
        return cls(data.get("sixteen_bit_divisor", usual.sixteen_bit_divisor), (red, green, blue))

    @property
    def background_name(self) -> str:
        """white, black, or the colour as #rrggbb."""
        return NAMES.get(self.background) or "#{:02x}{:02x}{:02x}".format(*self.background)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as labels.json and report.json have it."""
        return {"sixteen_bit_divisor": self.sixteen_bit_divisor, "background": self.background_name}
