"""Scales pictures of data sets to a size at which they can be looked at."""

import io

from PIL import Image


def scaled(picture: Image.Image, side: int) -> Image.Image:
    """The picture with its longer side of `side` pixels. Enlarged pictures keep sharp pixels."""
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR)


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
