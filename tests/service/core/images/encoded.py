"""Encoded pictures with chosen metadata, samples and layouts, which an image library would not write."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[Any]
GRAY, RGB, GRAY_ALPHA, RGBA = 0, 2, 4, 6  # PNG's colour types
SIDEWAYS = 6  # the EXIF orientation of a camera that was held upright


def colours(height: int = 16, width: int = 24, seed: int = 1) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def saved(pixels: Samples | Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002 - Pillow's word
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int, *entries: bytes, count: int | None = None) -> bytes:
    """A block of EXIF: other entries of 12 bytes each, then the orientation."""
    said = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    number = len(entries) + 1 if count is None else count
    return struct.pack("<2sHIH", b"II", 42, 8, number) + b"".join(entries) + said + bytes(4)


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG."""
    right = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", right if checksum is None else checksum)


def png_with(png: bytes, *chunks: bytes, at_end: bool = False) -> bytes:
    """A PNG with more chunks after its header, or before its end."""
    place = len(png) - 12 if at_end else 33
    return png[:place] + b"".join(chunks) + png[place:]


def deep_png(samples: Samples, colour_type: int, *chunks: bytes) -> bytes:
    """A PNG of 16-bit samples [H, W] or [H, W, C]."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *chunks, pixels, chunk(b"IEND", b"")))


def segment(marker: int, data: bytes, length: int | None = None) -> bytes:
    """A segment of a JPEG; `length` is what it says, where that is wrong."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2 if length is None else length) + data


def jpeg_with(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments at its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def tiff(data: bytes, width: int, height: int, bits: int, *, order: str = "<", **tags: int) -> bytes:
    """An uncompressed TIFF of one strip. `tags`: photometric, samples, planes, sample_format."""
    shorts = {258: bits, 259: 1, 262: tags.get("photometric", 1), 277: tags.get("samples", 1)}
    shorts |= {284: tags.get("planes", 1), 339: tags.get("sample_format", 1)}
    longs = {256: width, 257: height, 273: 0, 278: height, 279: len(data)}
    start = 14 + 12 * (len(shorts) + len(longs))
    longs[273] = start
    entries = {tag: struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in shorts.items()}
    entries |= {tag: struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in longs.items()}
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return head + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4) + data


def netpbm(kind: bytes, samples: Samples, white: int) -> bytes:
    """A PGM or PPM; `kind` is P2 or P3 (text), P5 or P6 (packed)."""
    head = b"%s\n# a remark\n%d %d\n%d\n" % (kind, samples.shape[1], samples.shape[0], white)
    if kind in (b"P2", b"P3"):
        return head + b" ".join(b"%d" % value for value in samples.ravel().tolist())
    return head + samples.astype(">u2" if white > 255 else np.uint8).tobytes()
