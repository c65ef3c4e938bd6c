"""One picture becomes upright 8-bit pixels on a background, with the facts that matter for its set."""

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.core.errors import InvalidData
from service.core.images import LARGEST_SIDE, Preprocessing, read
from tests.service.core.images.encoded import colours, saved

GREY_BLUE = (100, 110, 120)


def veil(alpha: int) -> Image.Image:
    """A red picture, its left half of this alpha."""
    picture = Image.new("RGBA", (4, 2), (200, 0, 0, 255))
    picture.paste((200, 0, 0, alpha), (0, 0, 2, 2))
    return picture


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), GREY_BLUE])
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparent_pixels_lie_on_the_background(background: tuple[int, int, int], format: str) -> None:  # noqa: A002
    options: dict[str, Any] = {"lossless": True, "exact": True} if format == "WEBP" else {}
    picture = read(saved(veil(0), format, **options), Preprocessing(background=background))
    assert np.asarray(picture.image)[0].tolist() == [list(background)] * 2 + [[200, 0, 0]] * 2
    assert picture.opacity == pytest.approx(0.5)


def test_gray_stays_gray_unless_its_background_is_coloured() -> None:
    ink = saved(Image.new("LA", (3, 3), (40, 0)), "PNG")
    assert read(ink, Preprocessing(background=(255, 255, 255))).image.mode == "L"
    assert read(ink, Preprocessing(background=GREY_BLUE)).image.getpixel((0, 0)) == GREY_BLUE
    opaque = saved(Image.new("LA", (3, 3), (40, 255)), "PNG")
    assert read(opaque, Preprocessing(background=GREY_BLUE)).image.mode == "L"


def test_a_transparent_palette_colour_lies_on_the_background() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 0, 0])
    picture.putpixel((1, 0), 1)
    for format in ("PNG", "GIF"):  # noqa: A001 - Pillow's word
        shown = read(saved(picture, format, transparency=0), Preprocessing(background=GREY_BLUE)).image
        assert np.asarray(shown)[0].tolist() == [list(GREY_BLUE), [200, 0, 0]]


@pytest.mark.parametrize("format", ["TIFF", "GIF", "PNG", "WEBP", "MPO"])
def test_more_pages_or_frames_are_told_and_the_first_is_read(format: str) -> None:  # noqa: A002 - Pillow's word
    first, *others = (Image.fromarray(colours(seed=seed)) for seed in range(3))
    options = {"lossless": True} if format == "WEBP" else {}
    alone = saved(first, format, save_all=True, **options)
    several = saved(first, format, save_all=True, append_images=others, **options)
    assert (read(alone).has_more, read(several).has_more) == (False, True)
    assert (np.asarray(read(several).image) == np.asarray(read(alone).image)).all()


def test_a_preview_in_a_file_is_no_further_page() -> None:
    preview = Image.fromarray(colours(8, 12))
    assert not read(saved(Image.fromarray(colours()), "MPO", save_all=True, append_images=[preview])).has_more


def test_a_large_jpeg_is_decoded_at_a_fraction_with_equal_looks() -> None:
    small = Image.fromarray(colours(30, 40))
    jpeg = saved(small.resize((4000, 3000), Image.Resampling.BICUBIC), "JPEG", quality=90)
    whole = Image.open(io.BytesIO(jpeg)).resize((683, LARGEST_SIDE), Image.Resampling.BILINEAR)
    difference = np.abs(np.asarray(read(jpeg).image, np.int16) - np.asarray(whole, np.int16))
    assert difference.max() <= 4
    assert difference.mean() < 0.5


def test_only_a_large_picture_waits_for_its_turn() -> None:
    class Turn(AbstractContextManager[None]):
        taken = 0

        def __enter__(self) -> None:
            self.taken += 1

        def __exit__(self, *raised: object) -> None: ...

    turn = Turn()
    read(saved(Image.new("L", (200, 200)), "PNG"), turn=turn)
    read(saved(Image.new("RGB", (6000, 4000)), "JPEG"), turn=turn)
    assert turn.taken == 0
    read(saved(Image.new("1", (6000, 4000)), "PNG"), turn=turn)
    assert turn.taken == 1


def test_decisions_about_pixels_survive_as_plain_data() -> None:
    for decided in (Preprocessing(), Preprocessing(16, (255, 255, 255)), Preprocessing(64, GREY_BLUE)):
        assert Preprocessing.from_dict(decided.to_dict()) == decided
    assert Preprocessing(16, GREY_BLUE).to_dict() == {"sixteen_bit_divisor": 16, "background": "#646e78"}
    assert Preprocessing.from_dict({"mean": [0.5]}) == Preprocessing(256, (0, 0, 0))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP"])
def test_a_cut_picture_is_refused_in_plain_words(format: str) -> None:  # noqa: A002 - Pillow's word
    whole = saved(Image.fromarray(colours(60, 80)), format)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(InvalidData) as raised:
            read(whole[: int(len(whole) * share)])
        assert not re.search(r"Error|Exception|[(\[<]|_", str(raised.value)), raised.value
        assert "broken image" in str(raised.value) or "pixels cannot be read" in str(raised.value)
    if format in ("PNG", "JPEG", "BMP", "PPM"):
        assert "ends too early" in str(raised.value)
