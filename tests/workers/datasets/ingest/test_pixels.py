"""The set decides how deep samples are scaled and what lies below transparent pixels, and says so."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import InvalidData
from tests.pictures import encoded, folders, stripes, zipped
from tests.workers.datasets.ingest.reading import Reader

RAMP = np.linspace(0, 1, 16)[None]


def deep(brightest: int) -> bytes:
    """A gray PNG of 16 bits from 0 to a value."""
    return encoded(np.rint(RAMP * brightest).astype(np.uint16))


def ink(red: int, green: int, blue: int) -> bytes:
    """A coloured half beside a transparent half whose hidden pixels are green."""
    pixels = np.zeros((4, 8, 4), np.uint8)
    pixels[:, :4] = red, green, blue, 255
    pixels[:, 4:] = 0, 255, 0, 0
    return encoded(pixels)


def decided(index: dict[str, NDArray[np.int64]]) -> tuple[int, list[int]]:
    return int(index["sixteen_bit_divisor"]), index["background"].tolist()


@pytest.mark.parametrize(
    ("brightest", "divisor", "shown"),
    [
        (255, 1, 255),
        (300, 4, 75),
        (1023, 4, 255),
        (3000, 16, 187),
        (4095, 16, 255),
        (16383, 64, 255),
        (65535, 256, 255),
    ],
)
def test_deep_samples_are_scaled_by_what_the_set_uses(reader: Reader, brightest: int, divisor: int, shown: int) -> None:
    dataset = reader(zipped({"a/1.png": deep(brightest // 3), "b/1.png": deep(brightest)}))
    assert decided(dataset.index)[0] == divisor
    assert dataset.image(1).max() == shown
    assert len(np.unique(dataset.image(1))) == 16
    on_depth = [warning for warning in dataset.contents.warnings if "16 bits" in warning]
    assert bool(on_depth) == (divisor < 256)
    assert all("2 images, such as a/1.png" in warning and f"{256 * divisor - 1:,}" in warning for warning in on_depth)


def test_one_picture_of_all_sixteen_bits_decides_for_the_set(reader: Reader) -> None:
    dataset = reader(zipped({"a/1.png": deep(4095), "b/1.png": deep(65535)}))
    assert decided(dataset.index)[0] == 256
    assert dataset.image(0).max() == 15
    assert not any("16 bits" in warning for warning in dataset.contents.warnings)


def test_pictures_of_eight_bits_are_never_scaled(reader: Reader) -> None:
    dataset = reader(zipped(folders(each=2) | {"rows/deep.png": deep(4095)}))
    alone = reader(zipped(folders(each=2)))
    assert all((dataset.image(i) == alone.image(i)).all() for i in range(6))


@pytest.mark.parametrize(("background", "colour"), [("white", [255, 255, 255]), ("black", [0, 0, 0])])
def test_transparent_pixels_lie_on_the_chosen_colour(reader: Reader, background: str, colour: list[int]) -> None:
    dataset = reader(zipped({"a/1.png": ink(9, 9, 9), "b/1.png": ink(70, 80, 90)}), background=background)
    assert decided(dataset.index) == (256, colour)
    assert dataset.image(1)[0, 3:5].tolist() == [[70, 80, 90], colour]
    (warning,) = [warning for warning in dataset.contents.warnings if "transparent" in warning]
    assert f"2 images, such as a/1.png. Their background becomes {background}" in warning


def test_the_mean_is_of_pixels_that_are_not_transparent(reader: Reader) -> None:
    opaque = encoded(np.full((40, 40, 3), [20, 20, 20], np.uint8))
    files = {"a/1.png": ink(200, 100, 0), "b/1.png": ink(100, 0, 50), "b/2.png": opaque}
    dataset = reader(zipped(files), background="mean")
    mean = [85, 35, 22]  # two halves and a whole: (200 + 100 + 2 * 20) / 4, and so on
    assert decided(dataset.index)[1] == mean
    assert dataset.image(0)[0, 3:5].tolist() == [[200, 100, 0], mean]
    assert any("Their background becomes #552316" in warning for warning in dataset.contents.warnings)


def test_a_mean_is_known_without_transparent_pixels_too(reader: Reader) -> None:
    files = {f"{label}/1.png": encoded(np.full((4, 4), value, np.uint8)) for label, value in (("a", 10), ("b", 30))}
    dataset = reader(zipped(files), background="mean")
    assert decided(dataset.index)[1] == [20, 20, 20]
    assert not any("transparent" in warning for warning in dataset.contents.warnings)


def test_depth_and_mean_are_decided_together(reader: Reader) -> None:
    files = {"a/1.png": deep(4095), "b/1.png": ink(255, 255, 255)}
    dataset = reader(zipped(files), background="mean")
    divisor, (red, *_) = decided(dataset.index)
    assert divisor == 16
    assert red == pytest.approx((np.mean(RAMP) * 255 + 255 / 2) / 1.5, abs=1)


def test_an_alpha_channel_without_effect_gives_no_warning(reader: Reader) -> None:
    white, grey = (np.full((4, 4, 4), [value, value, value, 255], np.uint8) for value in (255, 100))
    dataset = reader(zipped({"a/1.png": encoded(white), "b/1.png": encoded(grey)}))
    assert not any("transparent" in warning or "frames" in warning for warning in dataset.contents.warnings)


def test_pages_and_frames_are_counted(reader: Reader) -> None:
    files = folders(each=3) | {"rows/stack.tif": _stack("TIFF"), "rows/moving.gif": _stack("GIF")}
    warnings = reader(zipped(files)).contents.warnings
    assert "several pages or frames: 2 images, such as rows/moving.gif. Only the first of each is used." in warnings


def test_more_than_may_be_kept_is_no_fault_of_one_picture(reader: Reader) -> None:
    plain = {f"{label}/1.png": encoded(np.zeros((64, 64), np.uint8)) for label in "ab"}
    with pytest.raises(InvalidData, match=r"^the decoded images are more than 5,000 bytes"):
        reader(zipped(plain), most=5000)


def _stack(format: str) -> bytes:  # noqa: A002 - Pillow's word
    frames = [Image.fromarray(stripes("rows", number)) for number in range(20, 23)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:])
    return buffer.getvalue()
