"""PBM, PGM and PPM in the form that the decoder reads fast: packed, with 8 or 16 bits, white the largest value.

The decoder reads text and other depths value by value, which takes seconds for a photograph.

Format: J. Poskanzer, the manual pages pbm(5), pgm(5) and ppm(5) of Netpbm.
"""

import re
import sys
from array import array

from service.core.errors import InvalidData
from service.core.images.bare import Bare

HEADER = re.compile(rb"P([1-6fF])" + 3 * rb"(?:\s|#[^\r\n]*[\r\n])+([^\s#]+)")  # size, and the largest value or scale
BITMAP_HEADER = re.compile(rb"P1" + 2 * rb"(?:\s|#[^\r\n]*[\r\n])+([^\s#]+)")  # of text; the packed one is left alone
REMARK, SPACE = re.compile(rb"#[^\r\n]*"), re.compile(rb"\s")
PIXELS = {b"2": (b"P5", 1), b"3": (b"P6", 3), b"5": (b"P5", 1), b"6": (b"P6", 3)}  # packed kind, channels
TEXTS, FLOATS = b"23", b"fF"
BYTE, WORD = 255, 65535  # the largest values that the decoder knows
MOST_NUMBERS = 16_000_000  # of a text; they take seconds
BLOCK = 1 << 16  # bytes of text that are parsed at a time
OWN_DIVISOR = 256  # of samples that were scaled to 16 bits here
WHITESPACE = b" \t\n\v\f\r"
BLACK_AND_WHITE = bytes.maketrans(b"01", b"\xff\x00")


def bare(data: bytes) -> Bare:
    """The picture, packed. Raises InvalidData for pixels that are floating-point numbers or no numbers at all."""
    if header_match := BITMAP_HEADER.match(data):
        bits = REMARK.sub(b"", data[header_match.end() :]).translate(None, WHITESPACE)
        if bits.strip(b"01"):
            raise InvalidData("a broken image: its values are not 0 or 1")
        return Bare(b"P5 %b %b 255\n" % header_match.groups() + bits.translate(BLACK_AND_WHITE))
    header_match = HEADER.match(data)
    if not header_match:
        return Bare(data)
    kind, width, height, largest = header_match.groups()
    if kind in FLOATS:
        raise InvalidData("its pixels are floating-point numbers; allowed: whole numbers of 8 or 16 bits")
    if kind not in PIXELS or not all(map(bytes.isdigit, (width, height, largest))) or not 0 < int(largest) <= WORD:
        return Bare(data)
    packed, channels = PIXELS[kind]
    white = int(largest)
    target = BYTE if white <= BYTE else WORD
    header = b"%b %b %b %d\n" % (packed, width, height, target)
    divisor = None if white in (BYTE, WORD) else OWN_DIVISOR
    if kind in TEXTS:
        samples = _numbers(data[header_match.end() :], int(width) * int(height) * channels)
        return Bare(header + _scaled(samples, white, target), divisor=divisor)
    if white == target:
        return Bare(data)
    pixels = data[header_match.end() + 1 :]
    if target == BYTE:
        return Bare(header + pixels.translate(bytes(_table(white, target, BYTE))), divisor=divisor)
    return Bare(header + _scaled(_words(pixels), white, target), divisor=divisor)


def _numbers(text: bytes, count: int) -> "array[int]":
    """The first `count` numbers of a text. Raises InvalidData for more than MOST_NUMBERS, and for no numbers."""
    if count > MOST_NUMBERS:
        allowed = f"at most {MOST_NUMBERS:,}, or the packed form (P5 or P6)"
        raise InvalidData(f"its pixels are {count:,} numbers written as text; allowed: {allowed}")
    text = REMARK.sub(b"", text) if b"#" in text else text
    samples, start = array("H"), 0
    while start < len(text) and len(samples) < count:
        gap = SPACE.search(text, start + BLOCK)
        end = gap.start() if gap else len(text)
        try:
            samples.extend(map(int, text[start:end].split()))
        except (ValueError, OverflowError):
            raise InvalidData(f"a broken image: its values are not whole numbers from 0 to {WORD}") from None
        start = end
    return samples[:count]


def _words(data: bytes) -> "array[int]":
    """Samples of 16 bits."""
    samples = array("H", data[: len(data) // 2 * 2])
    if sys.byteorder == "little":
        samples.byteswap()
    return samples


def _table(white: int, target: int, largest: int) -> list[int]:
    """What each sample from 0 to `largest` becomes."""
    return [min(target, (value * target + white // 2) // white) for value in range(largest + 1)]


def _scaled(samples: "array[int]", white: int, target: int) -> bytes:
    """The samples as bytes, `white` and what is above it scaled to `target`; two bytes each where that needs them."""
    table = _table(white, target, WORD)
    scaled = array("H", map(table.__getitem__, samples))
    if sys.byteorder == "little":
        scaled.byteswap()
    return scaled.tobytes() if target == WORD else scaled.tobytes()[1::2]
