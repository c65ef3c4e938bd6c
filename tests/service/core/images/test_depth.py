"""Samples of more than 8 bits are scaled by their own depth, or by that of their set; others are refused by name."""

import numpy as np
import pytest

from service.core.errors import InvalidData
from service.core.images import Preprocessing, read
from tests.service.core.images.encoded import (
    GRAY,
    GRAY_ALPHA,
    RGB,
    RGBA,
    Samples,
    chunk,
    deep_png,
    netpbm,
    saved,
    tiff,
)

WHITE = (255, 255, 255)
TWELVE_BITS = Preprocessing(sixteen_bit_divisor=16)
DEEP = np.random.default_rng(1).integers(0, 65536, (5, 7, 3)).astype(np.uint16)
OPAQUE = np.full((5, 7, 1), 65535, np.uint16)


def gray(samples: Samples) -> Samples:
    return samples[..., 0]


def encodings(samples: Samples) -> dict[str, tuple[bytes, Samples]]:
    """Encoded pictures, and their samples, [H, W] or [H, W, 3]."""
    swapped, one = samples.astype(">u2"), np.ascontiguousarray(gray(samples))
    height, width = one.shape
    return {
        "gray PNG": (deep_png(one, GRAY), one),
        "gray PNG with alpha": (deep_png(np.dstack([one, OPAQUE]), GRAY_ALPHA), one),
        "PNG": (deep_png(samples, RGB), samples),
        "PNG with alpha": (deep_png(np.dstack([samples, OPAQUE]), RGBA), samples),
        "PGM": (netpbm(b"P5", one, 65535), one),
        "PGM as text": (netpbm(b"P2", one, 65535), one),
        "PPM": (netpbm(b"P6", samples, 65535), samples),
        "PPM as text": (netpbm(b"P3", samples, 65535), samples),
        "gray TIFF": (tiff(one.tobytes(), width, height, 16), one),
        "big-endian gray TIFF": (tiff(one.astype(">u2").tobytes(), width, height, 16, order=">"), one),
        "negative TIFF": (tiff((65535 - one).tobytes(), width, height, 16, photometric=0), one),
        "packed gray TIFF": (saved(one, "TIFF", compression="tiff_lzw"), one),
        "TIFF": (tiff(samples.tobytes(), width, height, 16, photometric=2, samples=3), samples),
        "big-endian TIFF": (tiff(swapped.tobytes(), width, height, 16, order=">", photometric=2, samples=3), samples),
    }


@pytest.mark.parametrize("case", encodings(DEEP))
def test_sixteen_bits_are_divided_as_the_set_says(case: str) -> None:
    data, samples = encodings(DEEP)[case]
    picture = read(data)
    assert (np.asarray(picture.image) == samples >> 8).all()
    assert picture.bits == 16


@pytest.mark.parametrize("case", encodings(DEEP >> 4))
def test_twelve_of_sixteen_bits_keep_their_grays(case: str) -> None:
    data, samples = encodings(DEEP >> 4)[case]
    picture = read(data, TWELVE_BITS)
    assert (np.asarray(picture.image) == samples >> 4).all()
    assert picture.bits == 12


def test_samples_above_the_depth_of_the_set_are_white() -> None:
    picture = read(deep_png(np.array([[0, 4095, 4096, 65535]], np.uint16), GRAY), TWELVE_BITS)
    assert np.asarray(picture.image).tolist() == [[0, 255, 255, 255]]


@pytest.mark.parametrize("preprocessing", [Preprocessing(), TWELVE_BITS])
def test_twelve_bit_samples_of_a_tiff_have_their_own_white(preprocessing: Preprocessing) -> None:
    for photometric, shown in ((1, 255), (0, 0)):
        picture = read(tiff(b"\xff" * 96, 8, 8, 12, photometric=photometric), preprocessing)
        assert np.unique(np.asarray(picture.image)).tolist() == [shown]
        assert picture.bits is None


@pytest.mark.parametrize("kind", [b"P2", b"P5"])
@pytest.mark.parametrize("white", [1, 3, 100, 255, 1000, 4095, 40000])
def test_the_largest_value_of_a_pgm_is_white(kind: bytes, white: int) -> None:
    samples = np.array([[0, white // 3, white]], np.uint16)
    shown = np.asarray(read(netpbm(kind, samples, white), TWELVE_BITS).image)[0].tolist()
    assert shown[0] == 0
    assert shown[1] == pytest.approx(255 * int(samples[0, 1]) / white, abs=1)
    assert shown[2] == 255


def test_a_bitmap_of_text_is_read_without_spaces() -> None:
    assert np.asarray(read(b"P1 # a remark\n3 2\n1 0 1\n010").image).tolist() == [[0, 255, 0], [255, 0, 255]]


@pytest.mark.parametrize(
    "text", [b"P2 2 2 255\n1 2 x 4", b"P2 2 2 255\n1 2 3", b"P1 2 1\n0 2", b"P2 2 2 255\n1 2 3 99999"]
)
def test_text_that_is_no_picture_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidData, match="a broken image"):
        read(text)


def test_a_transparent_sample_is_compared_in_all_its_bits() -> None:
    key = DEEP[2, 3]
    white = Preprocessing(background=WHITE)
    picture = read(deep_png(DEEP, RGB, chunk(b"tRNS", key.astype(">u2").tobytes())), white)
    hidden = (key == DEEP).all(axis=2, keepdims=True)
    assert (np.asarray(picture.image) == np.where(hidden, 255, DEEP >> 8)).all()
    one = np.ascontiguousarray(gray(DEEP))
    picture = read(deep_png(one, GRAY, chunk(b"tRNS", one[1, 1:2].astype(">u2").tobytes())), white)
    assert (np.asarray(picture.image) == np.where(one == one[1, 1], 255, one >> 8)).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff(bytes(70), 7, 5, 16, sample_format=2), "signed whole numbers of 16 bits; allowed: unsigned"),
        (tiff(bytes(35), 7, 5, 8, sample_format=2), "signed whole numbers of 8 bits"),
        (tiff(bytes(140), 7, 5, 32, sample_format=3), "floating-point numbers of 32 bits"),
        (tiff(bytes(280), 7, 5, 64, sample_format=3), "floating-point numbers of 64 bits"),
        (tiff(bytes(280), 7, 5, 64, sample_format=6), "complex numbers of 64 bits"),
        (tiff(bytes(140), 7, 5, 32), "unsigned whole numbers of 32 bits"),
        (tiff(bytes(112), 8, 8, 14), "unsigned whole numbers of 14 bits"),
        (tiff(bytes(210), 7, 5, 16, photometric=2, samples=3, planes=2), "separate planes"),
        (tiff(bytes(140), 7, 5, 16, samples=2), "2 samples a pixel, of 16 bits"),
        (b"Pf\n2 2\n-1.0\n" + bytes(16), "floating-point numbers"),
        (b"PF\n2 2\n-1.0\n" + bytes(48), "floating-point numbers"),
    ],
)
def test_samples_of_other_kinds_are_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        read(data)


def test_a_jpeg_of_twelve_bits_is_refused_by_name() -> None:
    jpeg = bytearray(saved((DEEP >> 8).astype(np.uint8), "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(InvalidData, match="its samples have 12 bits"):
        read(bytes(jpeg))
