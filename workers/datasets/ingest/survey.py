"""What the pictures of a set have in common: it decides how they become pixels, and what the user should know."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from service.core.images import Picture, Preprocessing
from service.core.images.preprocessing import BLACK, WHITE
from service.core.text import counted

DEPTHS = (8, 10, 12, 14, 16)  # bits of the samples of cameras, scanners and sensors
CHOSEN = {"white": WHITE, "black": BLACK, "mean": BLACK}  # what lies below transparent pixels at the first reading


def first_preprocessing(background: str) -> Preprocessing:
    """How a set is read for the first time."""
    return Preprocessing(background=CHOSEN[background])


@dataclass
class Survey:
    """Gathered while a set is read with `used`. `background` is one of BACKGROUNDS."""

    background: str
    used: Preprocessing
    _deep: list[str] = field(default_factory=list)
    _transparent: list[str] = field(default_factory=list)
    _more: list[str] = field(default_factory=list)
    _bits: int = DEPTHS[0]
    _colour: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    _opacity: float = 0.0

    def add(self, name: str, picture: Picture) -> None:
        """The next picture."""
        if picture.bits:
            self._deep.append(name)
            self._bits = max(self._bits, picture.bits)
        if picture.opacity < 1:
            self._transparent.append(name)
        if picture.has_more:
            self._more.append(name)
        if self.background == "mean":
            self._colour += np.asarray(picture.image, np.float64).mean((0, 1))
            self._opacity += picture.opacity

    @property
    def settled(self) -> Preprocessing:
        """How the set is to be read, as far as this reading shows."""
        if self._divisor != self.used.sixteen_bit_divisor:
            return replace(self.used, sixteen_bit_divisor=self._divisor)
        if self.background == "mean" and self.used.background == BLACK:
            return replace(self.used, background=self._mean())
        return self.used

    @property
    def must_repeat(self) -> bool:
        """Whether the pixels are other ones when read as `settled` says."""
        is_deeper = self.settled.sixteen_bit_divisor != self.used.sixteen_bit_divisor
        return is_deeper or bool(self._transparent and self.settled.background != self.used.background)

    def warnings(self) -> Iterator[str]:
        """What the user should know about the pixels."""
        divisor = self.used.sixteen_bit_divisor
        if self._deep and divisor < Preprocessing().sixteen_bit_divisor:
            yield (
                f"samples of 16 bits use {self._depth} bits: {_some(self._deep)}. They are divided by {divisor}: white "
                f"is {256 * divisor - 1:,}."
            )
        if self._transparent:
            yield (
                f"transparent pixels: {_some(self._transparent)}. Their background becomes "
                f"{self.used.background_name}; the option background (white, black or mean) of the upload chooses "
                "another colour."
            )
        if self._more:
            yield f"several pages or frames: {_some(self._more)}. Only the first of each is used."

    @property
    def _depth(self) -> int:
        return min(depth for depth in DEPTHS if depth >= self._bits)

    @property
    def _divisor(self) -> int:
        return 1 << (self._depth - DEPTHS[0]) if self._deep else Preprocessing().sixteen_bit_divisor

    def _mean(self) -> tuple[int, int, int]:
        """The mean colour of the pixels that are not transparent; each picture counts by the share of them.

        On black, a transparent pixel adds nothing to the sum.
        """
        red, green, blue = np.rint(self._colour / self._opacity).astype(int).tolist() if self._opacity else WHITE
        return red, green, blue


def _some(names: list[str]) -> str:
    return f"{counted(len(names), 'image')}, such as {names[0]}"
