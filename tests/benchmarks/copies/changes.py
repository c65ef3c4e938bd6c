"""Changes that make a near copy of a picture."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

Change = Callable[[Image.Image], Image.Image]


def _jpeg(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).copy()

    return change


def _resized(factor: float) -> Change:
    return lambda image: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC
    )


def _brightened(factor: float) -> Change:
    return lambda image: Image.fromarray((np.asarray(image).astype(float) * factor).clip(0, 255).astype(np.uint8))


def _cropped(pixels: int) -> Change:
    return lambda image: image.crop((pixels, 0, image.width, image.height - pixels)).resize(
        image.size, Image.Resampling.BICUBIC
    )


CHANGES: dict[str, Change] = {
    "JPEG 95": _jpeg(95),
    "JPEG 80": _jpeg(80),
    "JPEG 60": _jpeg(60),
    "half size": _resized(0.5),
    "size x 1.5": _resized(1.5),
    "brightness x 1.1": _brightened(1.1),
    "brightness x 0.85": _brightened(0.85),
    "crop 1 pixel": _cropped(1),
    "crop 2 pixels": _cropped(2),
}
