"""Which way up a picture is: read from EXIF or XMP, which may be broken, and applied to the pixels.

Formats: CIPA DC-008, "Exchangeable image file format for digital still cameras" (EXIF 2.32); Adobe, "XMP Specification
Part 2" (tiff:Orientation).
"""

import re
from collections.abc import Sequence

from PIL import Image

from service.core.images.ifd import Directory, Tiff

ORIENTATION = 274
UPRIGHT = 1
EXIF_HEADER = b"Exif\0\0"
IN_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(exif: Sequence[bytes], xmp: Sequence[bytes] = ()) -> int:
    """The EXIF orientation, 1 to 8: the first that blocks of EXIF say, else one of XMP, else 1 (upright)."""
    for whole in exif:
        block = whole
        while block.startswith(EXIF_HEADER):
            block = block.removeprefix(EXIF_HEADER)
        tiff = Tiff.of(block)
        code = next(tiff.directories(), Directory()).first(ORIENTATION, 0) if tiff else 0
        if UPRIGHT <= code <= max(TURNS):
            return code
    found = next(filter(None, map(IN_XMP.search, xmp)), None)
    return int(found[1]) if found else UPRIGHT


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """The picture, turned or mirrored as its orientation says."""
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture
