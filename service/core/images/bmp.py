"""A BMP that is packed by run lengths: the decoder reads it run by run in Python, so its size is limited.

Format: Microsoft, "Bitmap Storage" (BITMAPINFOHEADER), and "Bitmap Compression" (RLE4 and RLE8).
"""

import struct

from service.core.errors import InvalidData
from service.core.images.bare import Bare

MAGIC = b"BM"
HEADER = struct.Struct("<10xIIii4xI")  # the places of the pixels, bytes of the header, width, height, compression
LEAST_HEADER = 40  # bytes; a shorter one has no compression
RUNS = (1, 2)  # values of the compression: RLE8 and RLE4
MOST_PIXELS = 1 << 21
MOST_BYTES_A_PIXEL = 2


def bare(data: bytes) -> Bare:
    """The picture, without bytes beyond its runs. Raises InvalidData for a packed one of more than MOST_PIXELS."""
    if len(data) < HEADER.size:
        return Bare(data)
    start, header, width, height, compression = HEADER.unpack_from(data)
    if header < LEAST_HEADER or compression not in RUNS:
        return Bare(data)
    pixels = abs(width * height)
    if pixels > MOST_PIXELS:
        allowed = f"at most {MOST_PIXELS:,} pixels, or no compression"
        raise InvalidData(f"a BMP packed by run lengths with {pixels:,} pixels; allowed: {allowed}")
    return Bare(data[: start + MOST_BYTES_A_PIXEL * (pixels + abs(height) + 1)])
