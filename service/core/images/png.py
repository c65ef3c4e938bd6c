"""The chunks of a PNG: those of its pixels are kept, the others dropped with whatever is wrong in them.

Format: W3C, "Portable Network Graphics (PNG) Specification, Third Edition" (2025).
"""

import struct
import zlib
from collections.abc import Iterator

from service.core.errors import InvalidData
from service.core.images.bare import Bare
from service.core.images.orientation import orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD, TAIL = 8, 4  # bytes of a chunk before its data (length and kind), and after it (checksum)
IS_ANCILLARY = 0x20  # a bit of the first letter of the kind
TRANSPARENCY = b"tRNS"  # ancillary, but part of the pixels
CHECKED = {b"IHDR": "size", b"PLTE": "palette", TRANSPARENCY: "transparency", b"IDAT": "pixel data"}
XMP_KEY, EXIF_KEY = b"XML:com.adobe.xmp", b"Raw profile type exif"  # of texts; the latter is ImageMagick's
ANIMATION = 8  # bytes of the chunk that says the number of frames
MOST_TEXT = 1 << 20  # bytes of such a text
MOST_CHUNKS = 100_000  # 64 MiB in chunks of 8 KiB, as programs write them, are 8,192
HEX_LINE = 3  # of a raw profile: the first line with data, after an empty one, the name and the length


def bare(data: bytes) -> Bare:
    """The PNG without its metadata, and without the later frames of an animation.

    Raises InvalidData where the checksum of a chunk in CHECKED is wrong, or where there are too many chunks.
    """
    exif: list[bytes] = []
    xmp: list[bytes] = []
    kept, frames, kind, after = [SIGNATURE], 0, b"", len(SIGNATURE)
    for kind, start, after in _chunks(data):
        body = data[start + HEAD : after - TAIL] if kind[0] & IS_ANCILLARY else b""
        if not kind[0] & IS_ANCILLARY or kind == TRANSPARENCY:
            kept.append(data[start:after])
        elif kind == b"eXIf":
            exif.append(body)
        elif kind == b"acTL" and len(body) == ANIMATION:
            frames = int.from_bytes(body[:4], "big")
        elif body.startswith((XMP_KEY, EXIF_KEY)):
            text = _text(kind, body)
            xmp.append(text)
            exif.append(_from_hex(text))
    if kind != b"IEND":
        kept.append(data[after:])  # cut off or broken: the decoder says what is wrong with it
    return Bare(b"".join(kept), orientation(exif, xmp), has_more=frames > 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind, the start and the end of each whole chunk, up to the last one of the picture. Raises InvalidData."""
    kind, start, count = b"", len(SIGNATURE), 0
    while kind != b"IEND" and start + HEAD + TAIL <= len(data):
        count += 1
        if count > MOST_CHUNKS:
            raise InvalidData(f"it has more than {MOST_CHUNKS:,} chunks")
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + HEAD + length + TAIL
        if end > len(data) or not kind.isalpha():
            return
        if kind in CHECKED:
            _check(data, start, end, CHECKED[kind])
        yield kind, start, end
        start = end


def _check(data: bytes, start: int, end: int, content: str) -> None:
    """Raises InvalidData. Without the check, the decoder would not say which part of the file is damaged."""
    if zlib.crc32(memoryview(data)[start + 4 : end - TAIL]) != int.from_bytes(data[end - TAIL : end], "big"):
        raise InvalidData(f"a broken image: the checksum of its {content} is wrong")


def _text(kind: bytes, body: bytes) -> bytes:
    """The text of a chunk tEXt, zTXt or iTXt, empty where it is broken or too long."""
    _, _, text = body.partition(b"\0")
    is_packed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"iTXt":
        text = text[2:].split(b"\0", 2)[-1]  # after the language and the translated key
    elif kind == b"zTXt":
        text = text[1:]
    if not is_packed:
        return text
    try:
        return zlib.decompressobj().decompress(text, MOST_TEXT)
    except zlib.error:
        return b""


def _from_hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[HEX_LINE:]).decode("ascii"))
    except ValueError:
        return b""
