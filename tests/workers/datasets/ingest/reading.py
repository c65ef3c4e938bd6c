"""Reading an archive in the test's own process, and pictures in many formats."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.core.errors import InvalidData
from service.core.records.dataset import INDEX, PIXELS, Contents

MOST = 100 << 20  # bytes


class Read:
    """A data set that was read, and its images as the pack has them."""

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.contents = contents
        self.pixels = np.fromfile(folder / PIXELS, np.uint8)
        with np.load(folder / INDEX) as index:
            self.index = {name: index[name] for name in index.files}

    def image(self, i: int) -> NDArray[np.uint8]:
        height, width, channels = self.index["heights"][i], self.index["widths"][i], self.contents.shape[0]
        start = self.index["offsets"][i]
        return self.pixels[start : start + height * width * channels].reshape(height, width, channels)


Reader = Callable[..., Read]


def refusal(reader: Reader, data: bytes, kind: str = "zip", most: int = MOST, **options: Any) -> str:
    with pytest.raises(InvalidData) as raised:
        reader(data, kind, most, **options)
    return str(raised.value)


def picture(mode: str, format: str, **options: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    Image.new(mode, (4, 6)).save(buffer, format, **options)
    return buffer.getvalue()
