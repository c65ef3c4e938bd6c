"""Sample pictures of a data set in one picture: a row for each class."""

import io
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.records.dataset import INDEX, PIXELS, Dataset
from service.core.storage import Storage

CLASSES, OF_A_CLASS = 10, 6
SIDE, GAP = 48, 4  # pixels: side of a picture, and space between two


def draw(storage: Storage, dataset: Dataset) -> bytes | None:
    """A PNG of the first OF_A_CLASS pictures of each of the first CLASSES classes.

    None for a data set without packed pictures: a built-in one, or one that has not been read. Raises StorageError.
    """
    files = {file.name: file for file in dataset.packed}
    if dataset.contents is None or not {PIXELS, INDEX} <= files.keys():
        return None
    with storage.open(files[INDEX].key) as file, np.load(io.BytesIO(file.read())) as index:
        columns = {name: index[name] for name in ("labels", "offsets", "heights", "widths")}
    rows = min(len(dataset.contents.classes), CLASSES)
    sheet = Image.new("RGBA", (OF_A_CLASS * (SIDE + GAP), rows * (SIDE + GAP)))
    with storage.open(files[PIXELS].key) as pixels:
        for row in range(rows):
            for column, at in enumerate(np.flatnonzero(columns["labels"] == row)[:OF_A_CLASS]):
                shape = (int(columns["heights"][at]), int(columns["widths"][at]), dataset.contents.shape[0])
                picture = _thumbnail(_read(pixels, int(columns["offsets"][at]), shape))
                sheet.paste(picture, (column * (SIDE + GAP), row * (SIDE + GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _read(pixels: IO[bytes], offset: int, shape: Sequence[int]) -> NDArray[np.uint8]:
    """The image, [H, W, C], at an offset."""
    pixels.seek(offset)
    return np.frombuffer(pixels.read(int(np.prod(shape))), np.uint8).reshape(shape)


def _thumbnail(pixels: NDArray[np.uint8]) -> Image.Image:
    """Scale a picture to fit a square of SIDE pixels. Enlarged pictures keep sharp pixels."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR)
