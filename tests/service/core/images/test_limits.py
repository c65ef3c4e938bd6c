"""The work and the memory of reading one picture are limited, whatever its bytes say."""

import struct

import numpy as np
import pytest
from PIL import Image

from service.core.errors import InvalidData
from service.core.images import LARGEST_AREA, LARGEST_SIDE, read
from tests.service.core.images.encoded import chunk, colours, saved, segment, tiff


def scans(jpeg: bytes, count: int) -> bytes:
    """The JPEG with its last scan repeated until there are `count` more."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + b"\xff\xd9"


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidData) as raised:
        read(data)
    return str(raised.value)


@pytest.mark.parametrize("size", [(8000, 100), (100, 8000), (20_000, 512), (3_000_000, 1), (4000, 700)])
def test_the_area_of_a_long_picture_is_limited(size: tuple[int, int]) -> None:
    image = read(saved(Image.new("L", size, 7), "PNG")).image
    assert image.width * image.height <= 1.01 * LARGEST_AREA
    assert min(image.size) <= LARGEST_SIDE
    assert (image.width > image.height) == (size[0] > size[1])


def test_a_picture_within_the_limits_keeps_its_size() -> None:
    for size in ((512, 2048), (8, 60_000), (512, 512), (1, 1)):
        assert read(saved(Image.new("L", size), "PNG")).image.size == size


@pytest.mark.parametrize("hidden", [b"", segment(0xFE, b"\xff\xd9" * 9)], ids=["plain", "after a false end"])
def test_a_jpeg_of_many_scans_is_refused(hidden: bytes) -> None:
    jpeg = saved(Image.new("RGB", (64, 64), (1, 2, 3)), "JPEG", progressive=True)
    read(scans(jpeg, 20))
    last = jpeg.rindex(b"\xff\xda")
    assert "at most 32" in refusal(scans(jpeg[:last] + hidden + jpeg[last:], 32))


def test_bytes_of_a_scan_behind_the_picture_are_no_scans() -> None:
    jpeg = saved(colours(64, 64), "JPEG", progressive=True)
    assert read(jpeg + b"\xff\xda" * 500).image.size == (64, 64)


def test_a_jpeg_of_many_segments_is_refused() -> None:
    jpeg = saved(colours(), "JPEG")
    assert "more than 10,000 segments" in refusal(jpeg[:2] + segment(0xFE, b"") * 10_001 + jpeg[2:])


def test_padding_of_a_jpeg_costs_nothing() -> None:
    jpeg = saved(colours(), "JPEG")
    scan = jpeg.rindex(b"\xff\xda")
    padded = jpeg[:2] + b"\xff" * (1 << 23) + jpeg[2:scan] + b"\xff" * (1 << 23) + jpeg[scan:]
    assert (np.asarray(read(padded).image) == np.asarray(read(jpeg).image)).all()


def test_a_png_of_many_chunks_is_refused() -> None:
    png = saved(colours(), "PNG")
    assert "more than 100,000 chunks" in refusal(png[:33] + chunk(b"teSt", b"") * 100_001 + png[33:])


def test_a_gif_of_many_blocks_is_refused() -> None:
    gif = saved(Image.new("P", (4, 4)), "GIF")
    at = gif.index(b"\x2c", 13)
    assert "more than 500,000 blocks" in refusal(gif[:at] + b"\x21\xfe" + b"\1x" * 500_001 + b"\0" + gif[at:])


def test_later_frames_of_a_gif_are_not_decoded() -> None:
    frames = [Image.fromarray(colours(seed=seed)) for seed in range(3)]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"x" * 1000)
    alone = saved(frames[0], "GIF")
    assert (np.asarray(read(gif).image) == np.asarray(read(alone).image)).all()
    assert (read(gif).has_more, read(alone).has_more) == (True, False)
    assert read(alone[:-1]).image.size == frames[0].size


def packed_bmp(width: int, height: int, runs: bytes) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + len(head) + 1024
    return struct.pack("<2sIII", b"BM", start + len(runs), 0, start) + head + bytes(1024) + runs


def test_a_large_bmp_of_runs_is_refused() -> None:
    assert "packed by run lengths" in refusal(packed_bmp(8000, 8000, b"\1\0\0\0"))
    assert read(packed_bmp(255, 1000, b"\xff\0\0\0" * 1000)).image.size == (255, 1000)


def test_empty_runs_of_a_bmp_are_not_read_without_end() -> None:
    assert "its file ends too early" in refusal(packed_bmp(2, 1, b"\1\0" + b"\0\2\0\0" * (1 << 22)))


def test_a_tiff_of_many_strips_is_refused() -> None:
    one = tiff(bytes(10), 10, 1, 8)
    assert read(one).image.size == (10, 1)
    entry = struct.pack("<HHI", 273, 4, 1)
    assert "40,000 strips" in refusal(one.replace(entry, struct.pack("<HHI", 273, 4, 40_000)))


def test_pixels_of_many_numbers_as_text_are_refused() -> None:
    assert "the packed form" in refusal(b"P2 5000 5000 255\n" + b"1 " * 100)
