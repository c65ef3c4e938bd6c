"""Sets of pictures that resemble each other without being copies: made by drawing, or shipped with libraries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits, load_sample_images

TILE = 64  # pixels of a side of the tiles that photographs are cut into
TONES = ((255, 220, 93), (247, 222, 206), (243, 210, 162), (213, 171, 136), (175, 126, 87), (124, 83, 62))
WORDS = ("the", "of", "and", "to", "in", "that", "for", "it", "was", "with", "be", "by", "on", "not", "his", "which")


@dataclass(frozen=True)
class Pictures:
    """Pictures with their labels from 0 to `classes` - 1. `families`: pictures of one number are variants of one."""

    images: list[Image.Image]
    labels: list[int]
    families: list[int] | None = None


def camera(count: int = 600, side: int = 64) -> Pictures:
    """Frames of one scene with sensor noise; the second class has a dark square somewhere."""
    scene = Image.fromarray(np.random.default_rng(0).integers(40, 200, (8, 8)).astype(np.uint8))
    ground = np.asarray(scene.resize((side, side), Image.Resampling.BICUBIC)).astype(float)
    images, labels = [], []
    for i in range(count):
        random, defect = np.random.default_rng([1, i]), int(i % 2)
        frame = ground + random.normal(0, 4, (side, side))
        if defect:
            y, x = random.integers(5, side - 9, 2)
            frame[y : y + 4, x : x + 4] = 0
        images.append(_picture(frame))
        labels.append(defect)
    return Pictures(images, labels)


def objects(count: int = 400, side: int = 96) -> Pictures:
    """Single nuts on black, of nearly equal size and colour; the second class has a slit."""
    images, labels = [], []
    for i in range(count):
        random, slit = np.random.default_rng([2, i]), int(i % 2)
        picture = Image.new("RGB", (side, side))
        pen, middle = ImageDraw.Draw(picture), side // 2
        a, b = 30 + int(random.integers(-3, 4)), 22 + int(random.integers(-3, 4))
        shade = (150 + int(random.integers(-12, 12)), 120 + int(random.integers(-12, 12)), 80)
        pen.ellipse((middle - a, middle - b, middle + a, middle + b), fill=shade)
        if slit:
            pen.line((middle - a + 4, middle, middle + a - 4, middle), fill=(40, 30, 20), width=3)
        images.append(_picture(np.asarray(picture).astype(float) + random.normal(0, 3, (side, side, 3))))
        labels.append(slit)
    return Pictures(images, labels)


def drawn_digits(count: int = 600, side: int = 28) -> Pictures:
    """White digits of one font on black, of several sizes, shifted, turned and slanted."""
    fonts = [ImageFont.load_default(size) for size in range(16, 25)]
    images, labels = [], []
    for i in range(count):
        random, digit = np.random.default_rng([3, i]), i % 10
        picture = Image.new("L", (2 * side, 2 * side))
        font = fonts[int(random.integers(len(fonts)))]
        ImageDraw.Draw(picture).text((side, side), str(digit), fill=255, font=font, anchor="mm")
        turned = picture.rotate(float(random.uniform(-20, 20)), Image.Resampling.BICUBIC)
        slant, x, y = random.uniform(-0.3, 0.3), *random.uniform(-3, 3, 2)
        middle = side / 2
        frame = (1, slant, middle + x - slant * middle, 0, 1, middle + y)
        images.append(turned.transform((side, side), Image.Transform.AFFINE, frame, Image.Resampling.BICUBIC))
        labels.append(digit)
    return Pictures(images, labels)


def pages(count: int = 300, width: int = 160, height: int = 224) -> Pictures:
    """Black text on white in lines; the second class has two columns."""
    font = ImageFont.load_default(9)
    images, labels = [], []
    for i in range(count):
        random, columns = np.random.default_rng([4, i]), 1 + i % 2
        picture = Image.new("L", (width, height), 250)
        pen = ImageDraw.Draw(picture)
        room = width // columns
        for column in range(columns):
            for y in range(10, height - 12, 11):
                line = " ".join(random.choice(WORDS, 8))
                while pen.textlength(line, font) > room - 14:
                    line = line.rsplit(" ", 1)[0]
                pen.text((column * room + 8, y), line, fill=20, font=font)
        images.append(picture)
        labels.append(columns - 1)
    return Pictures(images, labels)


def pictograms(families: int = 60, side: int = 64) -> Pictures:
    """Faces on a transparent ground, each in six tones; class 0 has flat shapes, class 1 outlines and shades."""
    images, labels, numbers = [], [], []
    for family in range(2 * families):
        for tone in TONES:
            images.append(_pictogram(family // 2, family % 2, tone, side))
            labels.append(family % 2)
            numbers.append(family)
    return Pictures(images, labels, numbers)


def _pictogram(number: int, style: int, tone: tuple[int, int, int], side: int) -> Image.Image:
    random = np.random.default_rng([5, number])
    picture = Image.new("RGBA", (4 * side, 4 * side))
    pen, unit = ImageDraw.Draw(picture), side // 4
    outline = (40, 40, 40, 255) if style else None
    for part in range(int(random.integers(4, 8))):
        x, y = (int(v) for v in random.integers(2 * unit, 12 * unit, 2))
        w, h = (int(v) for v in random.integers(unit, 6 * unit, 2))
        fill = tone if part % 2 == 0 else tuple(int(v) for v in random.integers(0, 255, 3))
        shape = (pen.ellipse, pen.rectangle)[int(random.integers(2))]
        shape((x, y, x + w, y + h), fill=(*fill, 255), outline=outline, width=8 if style else 1)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def real_digits() -> Pictures:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels."""
    pixels, labels = load_digits(return_X_y=True)
    return Pictures([_picture(row.reshape(8, 8) * 255 / 16) for row in pixels], labels.tolist())


def photographs() -> Pictures:
    """Tiles of scikit-learn's two photographs, which do not overlap; a class for each photograph."""
    images, labels = [], []
    for label, photograph in enumerate(load_sample_images().images):
        height, width = photograph.shape[:2]
        for y in range(0, height - TILE + 1, TILE):
            for x in range(0, width - TILE + 1, TILE):
                images.append(Image.fromarray(photograph[y : y + TILE, x : x + TILE]))
                labels.append(label)
    return Pictures(images, labels)


def _picture(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


SETS: dict[str, Callable[[], Pictures]] = {
    "fixed camera": camera,
    "objects on black": objects,
    "drawn digits": drawn_digits,
    "pages of text": pages,
    "pictograms": pictograms,
    "real digits": real_digits,
    "photographs": photographs,
}
