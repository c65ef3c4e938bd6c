"""Small images of three classes, and archives of them, valid and invalid."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

KINDS = ("rows", "columns", "checks")


def stripes(kind: str, number: int, side: int = 16) -> NDArray[np.uint8]:
    """uint8 [side, side]: noisy stripes or a noisy checkerboard, another picture for each number."""
    random = np.random.default_rng([KINDS.index(kind), number])
    y, x = np.mgrid[:side, :side]
    bright = ({"rows": y, "columns": x, "checks": x + y}[kind] + number) // 2 % 2
    picture: NDArray[np.uint8] = (128 * bright + random.integers(0, 120, (side, side))).astype(np.uint8)
    return picture


def encoded(pixels: NDArray[Any], format: str = "PNG") -> bytes:  # noqa: A002 - Pillow's word
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def folders(each: int = 10, side: int = 16, first: int = 0) -> dict[str, bytes]:
    """PNG files by name, `class/number.png`, `each` per class."""
    return {
        f"{kind}/{number:03}.png": encoded(stripes(kind, number, side))
        for kind in KINDS
        for number in range(first, first + each)
    }


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], extra: Iterable[tarfile.TarInfo] = (), *, packed: bool = True) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return gzip.compress(buffer.getvalue()) if packed else buffer.getvalue()


def arrays(x: object, y: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.asarray(x), y=np.asarray(y))
    return buffer.getvalue()
