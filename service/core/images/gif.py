"""The blocks of a GIF: those of its first frame are kept, comments and all later frames are dropped.

Format: CompuServe, "Graphics Interchange Format, Version 89a" (1990).
"""

from service.core.errors import InvalidData
from service.core.images.bare import Bare

SIGNATURES = (b"GIF87a", b"GIF89a")
HEADER, IMAGE_HEADER = 13, 10  # bytes before the colours
HAS_COLOURS, COLOURS = 0x80, 0x07  # bits of a header: whether a table of colours follows, and its size
EXTENSION, CONTROL, IMAGE, TRAILER = 0x21, 0xF9, 0x2C, 0x3B
MOST_BLOCKS = 500_000  # 64 MiB in blocks of 255 bytes, as programs write them, are 263,173


class _Cut(Exception):
    """The file ends before a block does."""


def bare(data: bytes) -> Bare:
    """The first frame. Raises InvalidData where there are too many blocks."""
    try:
        return _first_frame(data)
    except _Cut:
        return Bare(data)


def _first_frame(data: bytes) -> Bare:
    blocks = _Blocks(data)
    at = HEADER + _colours(data, HEADER - 3)
    kept, frames = [data[:at]], 0
    while frames < 2 and _byte(data, at) in (EXTENSION, IMAGE):  # noqa: PLR2004 - there are more than one
        start = at
        if data[at] == IMAGE:
            frames += 1
            at = blocks.end(at + IMAGE_HEADER + _colours(data, at + IMAGE_HEADER - 1) + 1)  # 1: the size of codes
        else:
            at = blocks.end(at + 2)
        if (not frames and data[start + 1] == CONTROL) or (frames == 1 and data[start] == IMAGE):
            kept.append(data[start:at])
    return Bare(b"".join([*kept, bytes([TRAILER])]), has_more=frames > 1) if frames else Bare(data)


class _Blocks:
    """Follows the chains of blocks of a file; raises InvalidData after MOST_BLOCKS."""

    def __init__(self, data: bytes) -> None:
        self._data, self._left = data, MOST_BLOCKS

    def end(self, at: int) -> int:
        """Where the chain that begins at `at` ends."""
        while size := _byte(self._data, at):
            at += 1 + size
            self._left -= 1
            if not self._left:
                raise InvalidData(f"it has more than {MOST_BLOCKS:,} blocks")
        return at + 1


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise _Cut
    return data[at]


def _colours(data: bytes, at: int) -> int:
    """The bytes of the table of colours, as the header says whose flags are at `at`."""
    flags = _byte(data, at)
    return 3 << ((flags & COLOURS) + 1) if flags & HAS_COLOURS else 0
