"""Any bytes are read as a picture, or refused with a reason."""

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.core.errors import InvalidData
from service.core.images import LARGEST_SIDE, read
from tests.service.core.images.encoded import (
    RGB,
    chunk,
    colours,
    deep_png,
    exif,
    jpeg_with,
    netpbm,
    saved,
    segment,
    tiff,
)

PIXELS = colours()
DEEP = np.random.default_rng(1).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
SEEDS = {
    "PNG": saved(PIXELS, "PNG"),
    "deep PNG": deep_png(DEEP, RGB, chunk(b"tRNS", bytes(6)), chunk(b"eXIf", exif(6))),
    "JPEG": jpeg_with(saved(PIXELS, "JPEG"), segment(0xE1, b"Exif\0\0" + exif(6))),
    "TIFF": saved(PIXELS, "TIFF", compression="tiff_lzw"),
    "deep TIFF": tiff(DEEP.tobytes(), 5, 4, 16, photometric=2, samples=3),
    "PPM": netpbm(b"P3", DEEP, 65535),
    "WebP": saved(PIXELS, "WEBP"),
    "GIF": saved(PIXELS, "GIF"),
}


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(SEEDS)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), max_size=6),
    length=st.floats(0.05, 1),
)
def test_any_bytes_are_a_picture_or_refused(kind: str, edits: list[tuple[float, bytes]], length: float) -> None:
    data = bytearray(SEEDS[kind])
    for place, new in edits:
        at = int(place * (len(data) - 1))
        data[at : at + len(new)] = new
    try:
        picture = read(bytes(data[: int(length * len(data)) + 1]))
    except InvalidData:
        pass
    else:
        assert picture.image.mode in ("L", "RGB")
        assert min(picture.image.size) <= LARGEST_SIDE
