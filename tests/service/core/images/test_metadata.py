"""Metadata that is broken or too large spoils no picture; damaged pixels are still refused."""

import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import InvalidData
from service.core.images import read
from tests.service.core.images.encoded import (
    SIDEWAYS,
    chunk,
    colours,
    exif,
    jpeg_with,
    png_with,
    saved,
    segment,
)

PIXELS = colours()
TURNED = np.rot90(PIXELS, -1)
PNG, JPEG = saved(PIXELS, "PNG"), saved(PIXELS, "JPEG", quality=95)
LARGE = zlib.compress(b"a" * 3_000_000)
THUMBNAIL = saved(PIXELS[:6, :8], "JPEG")
HEX = b"\nexif\n    40\n" + (b"Exif\0\0" + exif(SIDEWAYS)).hex().encode()

PNG_CHUNKS = {
    "a large packed text": chunk(b"zTXt", b"comment\0\0" + LARGE),
    "a large international text": chunk(b"iTXt", b"comment\0\1\0\0\0" + LARGE),
    "a large colour profile": chunk(b"iCCP", b"profile\0\0" + LARGE),
    "a profile packed in an unknown way": chunk(b"iCCP", b"profile\0\7x"),
    "many texts": b"".join(chunk(b"zTXt", b"%d\0\0" % i + zlib.compress(bytes(1_000_000))) for i in range(70)),
    "a text with a wrong checksum": chunk(b"tEXt", b"a\0b", checksum=1),
    "gamma with a wrong checksum": chunk(b"gAMA", bytes(4), checksum=1),
    "an unknown chunk with a wrong checksum": chunk(b"abCd", b"x", checksum=1),
    "short chunks": chunk(b"pHYs", b"1") + chunk(b"sRGB", b"") + chunk(b"cHRM", b"1") + chunk(b"gAMA", b""),
    "broken EXIF": chunk(b"eXIf", b"garbage"),
    "a broken animation": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", bytes(26)),
}
JPEG_SEGMENTS = {
    "broken EXIF": segment(0xE1, b"Exif\0\0garbage"),
    "a short JFIF header": segment(0xE0, b"JFIF\0"),
    "a short Adobe header": segment(0xEE, b"Adobe"),
    "a short colour profile": segment(0xE2, b"ICC_PROFILE\0"),
    "a broken index of pictures": segment(0xE2, b"MPF\0garbage"),
    "broken Photoshop data": segment(0xED, b"Photoshop 3.0\x008BIM\4"),
    "a segment of length 0": segment(0xE1, b"abc", length=0),
    "a segment that is said to be shorter": segment(0xE1, b"Exif\0\0abcdefgh", length=5),
    "a segment that is said to be longer": segment(0xE1, b"Exif\0\0abcdefgh", length=60),
    "a segment beyond the end": segment(0xE1, b"Exif\0\0" + THUMBNAIL, length=65535),
    "padding": b"\xff\xff\xff",
}
ORIENTED = {
    "EXIF in a PNG": png_with(PNG, chunk(b"eXIf", exif(SIDEWAYS))),
    "EXIF in a PNG, after its pixels": png_with(PNG, chunk(b"eXIf", exif(SIDEWAYS)), at_end=True),
    "EXIF in a PNG with a broken text": png_with(
        PNG, PNG_CHUNKS["a large packed text"], chunk(b"eXIf", exif(SIDEWAYS))
    ),
    "EXIF as text in a PNG": png_with(PNG, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(HEX))),
    "XMP in a PNG": png_with(PNG, chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>')),
    "EXIF in a WebP": saved(PIXELS, "WEBP", lossless=True, exif=exif(SIDEWAYS)),
    "a tag of a TIFF": saved(PIXELS, "TIFF", tiffinfo={274: SIDEWAYS}),
}
RESOLUTION = struct.pack("<HHII", 282, 10, 1, 9_999_999)  # a fraction that lies beyond the end
WIDTH = struct.pack("<HHI4s", 256, 2, 4, b"abc\0")  # a number as text
ORIENTED_JPEG = {
    "EXIF": segment(0xE1, b"Exif\0\0" + exif(SIDEWAYS)),
    "EXIF with entries that cannot be read": segment(0xE1, b"Exif\0\0" + exif(SIDEWAYS, RESOLUTION, WIDTH)),
    "EXIF that says more entries than it has": segment(0xE1, b"Exif\0\0" + exif(SIDEWAYS, count=99)),
    "EXIF after broken EXIF": JPEG_SEGMENTS["broken EXIF"] + segment(0xE1, b"Exif\0\0" + exif(SIDEWAYS)),
    "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>"),
}


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(read(data).image)


@pytest.mark.parametrize("case", PNG_CHUNKS)
def test_broken_metadata_of_a_png_is_ignored(case: str) -> None:
    for at_end in (False, True):
        assert (pixels_of(png_with(PNG, PNG_CHUNKS[case], at_end=at_end)) == PIXELS).all()


@pytest.mark.parametrize("case", JPEG_SEGMENTS)
def test_broken_metadata_of_a_jpeg_is_ignored(case: str) -> None:
    assert (pixels_of(jpeg_with(JPEG, JPEG_SEGMENTS[case])) == pixels_of(JPEG)).all()


def test_broken_tags_of_a_tiff_are_ignored() -> None:
    whole = saved(PIXELS, "TIFF", tiffinfo={270: "a description", 305: "a program", 700: b"<x/>", 34665: 9_999_999})
    (directory,) = struct.unpack_from("<I", whole, 4)
    (count,) = struct.unpack_from("<H", whole, directory)
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", whole, place)
        if tag in (270, 305, 700):
            broken = whole[: place + 4] + struct.pack("<II", 500_000, 9_999_999) + whole[place + 12 :]
            assert (pixels_of(broken) == PIXELS).all()


@pytest.mark.parametrize("case", ORIENTED)
def test_orientation_is_honoured(case: str) -> None:
    assert (pixels_of(ORIENTED[case]) == TURNED).all()


@pytest.mark.parametrize("case", ORIENTED_JPEG)
def test_orientation_of_a_jpeg_is_honoured(case: str) -> None:
    assert (pixels_of(jpeg_with(JPEG, ORIENTED_JPEG[case])) == np.rot90(pixels_of(JPEG), -1)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone_by_its_inverse(orientation: int) -> None:
    turned = read(png_with(PNG, chunk(b"eXIf", exif(orientation)))).image
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    back = png_with(saved(turned, "PNG"), chunk(b"eXIf", exif(inverse)))
    assert (pixels_of(back) == PIXELS).all()
    assert turned.size == ((16, 24) if orientation > 4 else (24, 16))


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    for said in (0, 9, 65535):
        assert (pixels_of(png_with(PNG, chunk(b"eXIf", exif(said)))) == PIXELS).all()


COLOURS = saved(Image.fromarray(PIXELS).convert("P"), "PNG", transparency=1)


@pytest.mark.parametrize(
    ("place", "content"), [("IHDR", "size"), ("PLTE", "palette"), ("tRNS", "transparency"), ("IDAT", "pixel data")]
)
def test_a_wrong_checksum_is_refused_by_its_content(place: str, content: str) -> None:
    at = COLOURS.index(place.encode())
    (length,) = struct.unpack_from(">I", COLOURS, at - 4)
    broken = bytearray(COLOURS)
    broken[at + 4 + length] ^= 1
    with pytest.raises(InvalidData, match=f"a broken image: the checksum of its {content} is wrong"):
        read(bytes(broken))


def test_a_pointer_of_git_lfs_is_named() -> None:
    with pytest.raises(InvalidData, match="a pointer of Git LFS, not the image; `git lfs pull`"):
        read(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")


@pytest.mark.parametrize("data", [PNG[:-60], JPEG[:-200], saved(PIXELS, "TIFF")[:-100], saved(PIXELS, "BMP")[:-9]])
def test_a_picture_that_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="a broken image"):
        read(data)
