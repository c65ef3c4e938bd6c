"""Samples of more than 8 bits, of which the decoder gives the upper byte: the lower byte, and how both become one.

The lower bytes come from decoding the picture again, as if its bytes were in the other order.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from PIL import Image, ImageChops
from PIL.ImageFile import ImageFile

from service.core.images.bare import Bare

BYTE = 255
PLAIN = 256  # the divisor of samples that use all 16 bits
OTHER = {"B": "L", "L": "B"}  # orders of bytes, the last letter of the decoder's names for layouts
NATIVE = {"little": "L", "big": "B"}[sys.byteorder]
GRAY_ALPHA = "LA;16B"  # a layout with no name in the other order: as RGBA, it gives two bytes of gray and two of alpha
PREMULTIPLIED = "a;16"  # colours that the decoder divides by alpha, byte by byte
PPM = "ppm"  # the decoder of a PPM with 16 bits (see netpbm.py), which is slow and knows no layout


@dataclass(frozen=True)
class Deep:
    """The upper bytes of a picture, and a function that decodes its lower bytes, in the same mode.

    `divisor` is set where the file itself declares the depth; otherwise the depth of the whole set
    decides. `transparent` are the samples of the pixels that are not shown.
    """

    high: Image.Image
    low: Callable[[], Image.Image]
    divisor: int | None = None
    transparent: tuple[int, ...] | None = None

    @property
    def bits(self) -> int | None:
        """The bits that the colours use, 8 to 16; None where the file declares the depth."""
        if self.divisor:
            return None
        counts = self.high.histogram()[: 256 * len(_colours(self.high))]  # alpha is the last band
        return 8 + max(place % 256 for place, count in enumerate(counts) if count).bit_length()

    def eight_bits(self, divisor: int) -> Image.Image:
        """The samples divided by the picture's own divisor, else by this one (a power of 2 to 256); at most 255."""
        divisor = self.divisor or divisor
        if divisor == PLAIN and not self.transparent:
            return self.high
        low = self.low()
        upper = [min(BYTE, value * 256 // divisor) for value in range(256)]
        lower = [value // divisor for value in range(256)]
        colours = len(_colours(self.high))
        alphas = len(self.high.getbands()) - colours  # alpha has 16 bits in any case
        picture = ImageChops.add(
            self.high.point(upper * colours + list(range(256)) * alphas),
            low.point(lower * colours + [0] * 256 * alphas),
        )
        if self.transparent:
            picture.putalpha(ImageChops.invert(self._matching(low, self.transparent)))
        return picture

    def _matching(self, low: Image.Image, samples: tuple[int, ...]) -> Image.Image:
        """255 in mode L where a pixel has these samples, else 0."""
        masks = [
            half.getchannel(band).point([BYTE * (value == byte) for value in range(256)])
            for band, sample in zip(self.high.getbands(), samples, strict=False)
            for half, byte in ((self.high, sample >> 8), (low, sample & BYTE))
        ]
        return reduce(ImageChops.darker, masks)


def is_deep(picture: ImageFile) -> bool:
    """Whether an opened picture that is not loaded has samples of more than 8 bits."""
    return picture.mode.startswith("I") or ";16" in _layout(picture)


def deep(picture: ImageFile, again: Callable[[], ImageFile], bare: Bare) -> Deep:
    """The samples of an opened picture, which `again` opens once more."""
    key = picture.info.pop("transparency", None)
    transparent = (key,) if isinstance(key, int) else key
    if picture.mode.startswith("I"):
        high, gray_low = _gray(picture, bare)
        return Deep(high, lambda: gray_low, bare.divisor, transparent)
    layout = _layout(picture)
    if layout == GRAY_ALPHA:
        high, gray_low, alpha, alpha_low = _loaded(picture, "RGBA").split()
        low = Image.merge("LA", (gray_low, alpha_low))
        return Deep(Image.merge("LA", (high, alpha)), lambda: low)
    kind, order = layout[:-1], layout[-1].replace("N", NATIVE)
    divisor = PLAIN if PREMULTIPLIED in kind else bare.divisor
    high = _loaded(picture, kind + order)
    return Deep(high, lambda: _loaded(again(), kind + OTHER[order]), divisor, transparent)


def _gray(picture: ImageFile, bare: Bare) -> tuple[Image.Image, Image.Image]:
    """The upper and the lower bytes of one channel."""
    picture.load()
    samples = picture.convert("I")
    if bare.is_negative:
        white = 256 * (bare.divisor or PLAIN) - 1
        samples = samples.point(lambda value: value * -1 + white)
    little = samples.convert("I;16").tobytes()
    high, low = (Image.frombytes("L", picture.size, little[start::2]) for start in (1, 0))
    return high, low


def _colours(picture: Image.Image) -> list[str]:
    return [band for band in picture.getbands() if band not in "Aa"]


def _layout(picture: ImageFile) -> str:
    """How samples lie in the file, in the decoder's names (its raw modes)."""
    if not picture.tile:
        return ""
    tile = picture.tile[0]
    if tile.codec_name == PPM:
        return f"{picture.mode};16B"
    return tile.args if isinstance(tile.args, str) else str((tile.args or ("",))[0])


def _loaded(picture: ImageFile, layout: str) -> Image.Image:
    """The picture, decoded as if its samples lay so."""
    tiles = []
    for tile in picture.tile:
        if tile.codec_name == PPM:
            tiles.append(tile._replace(codec_name="raw", args=layout))
        elif isinstance(tile.args, tuple):
            tiles.append(tile._replace(args=(layout, *tile.args[1:])))
        else:
            tiles.append(tile._replace(args=layout))
    picture.tile = tiles
    picture.load()
    return picture
