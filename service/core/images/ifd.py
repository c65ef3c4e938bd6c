"""The directories of a TIFF, which EXIF and the index of a multi-picture JPEG use too. Broken entries are left out.

Format: Adobe, "TIFF Revision 6.0" (1992), and the BigTIFF extension with offsets of 64 bits.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

ORDERS = {b"II": "<", b"MM": ">"}
CLASSIC, BIG = (b"*\0", b"\0*"), (b"+\0", b"\0+")  # in either order of bytes: some writers have the wrong one
WHOLE = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q"}  # kinds of entries, as in `struct`
SHORT = 3
MOST_VALUES = 64  # read from one entry
MOST_DIRECTORIES, MOST_ENTRIES = 100, 256  # read from one file, and from one directory


@dataclass(frozen=True)
class Entry:
    """One entry: `raw` are its bytes in the directory, `values` its first MOST_VALUES values if they are whole numbers,
    `count` the number of values that it declares.
    """

    raw: bytes
    values: tuple[int, ...]
    count: int = 1


@dataclass(frozen=True)
class Directory:
    """The entries of one page, by tag."""

    entries: dict[int, Entry] = field(default_factory=dict)

    def values(self, tag: int) -> tuple[int, ...]:
        return self.entries[tag].values if tag in self.entries else ()

    def first(self, tag: int, default: int) -> int:
        return (*self.values(tag), default)[0]


@dataclass(frozen=True)
class Tiff:
    """The bytes of a TIFF, their order (`<` or `>`), and the place of the first directory."""

    data: bytes
    order: str
    is_big: bool
    start: int

    @classmethod
    def of(cls, data: bytes) -> "Tiff | None":
        """None for data that are no TIFF."""
        order, magic = ORDERS.get(data[:2]), data[2:4]
        if order is None or magic not in (*CLASSIC, *BIG) or len(data) < (16 if magic in BIG else 8):
            return None
        is_big = magic in BIG
        (start,) = struct.unpack_from(f"{order}Q", data, 8) if is_big else struct.unpack_from(f"{order}I", data, 4)
        return cls(data, order, is_big, start)

    def directories(self) -> Iterator[Directory]:
        """The directories in their order, each once. Ends at one that is cut off."""
        at, seen = self.start, set[int]()
        while at and at not in seen and len(seen) < MOST_DIRECTORIES:
            seen.add(at)
            directory, at = self._directory(at)
            yield directory

    def short(self, tag: int, value: int) -> Entry:
        """An entry with one value of 16 bits."""
        return Entry(
            struct.pack(f"{self.order}{'HHQH6x' if self.is_big else 'HHIH2x'}", tag, SHORT, 1, value), (value,)
        )

    def with_directory(self, entries: list[Entry]) -> bytes:
        """The file with some of the entries of its first directory, in the place of that, and no other directory."""
        head, offset = ("Q", "Q") if self.is_big else ("H", "I")
        directory = b"".join(
            (
                struct.pack(f"{self.order}{head}", len(entries)),
                *(entry.raw for entry in entries),
                struct.pack(f"{self.order}{offset}", 0),
            )
        )
        return self.data[: self.start] + directory + self.data[self.start + len(directory) :]

    def _directory(self, at: int) -> tuple[Directory, int]:
        """The directory at an offset, and the offset of the next; 0 where there is none."""
        head, size, offset = ("Q", 20, "Q") if self.is_big else ("H", 12, "I")
        entries: dict[int, Entry] = {}
        try:
            (count,) = struct.unpack_from(f"{self.order}{head}", self.data, at)
            at += struct.calcsize(head)
            for place in range(at, at + min(count, MOST_ENTRIES) * size, size):
                (tag,) = struct.unpack_from(f"{self.order}H", self.data, place)
                raw = self.data[place : place + size]
                if len(raw) == size:
                    entries.setdefault(tag, self._entry(raw))
            (following,) = struct.unpack_from(f"{self.order}{offset}", self.data, at + count * size)
        except struct.error:
            following = 0
        return Directory(entries), following

    def _entry(self, raw: bytes) -> Entry:
        kind, count = struct.unpack_from(f"{self.order}H{'Q' if self.is_big else 'I'}", raw, 2)
        return Entry(raw, self._values(raw, kind, count), count)

    def _values(self, raw: bytes, kind: int, count: int) -> tuple[int, ...]:
        if kind not in WHOLE:
            return ()
        room = raw[12:] if self.is_big else raw[8:]
        form = f"{self.order}{min(count, MOST_VALUES)}{WHOLE[kind]}"
        if struct.calcsize(WHOLE[kind]) * count <= len(room):
            return struct.unpack_from(form, room)
        (at,) = struct.unpack(f"{self.order}{'Q' if self.is_big else 'I'}", room)
        try:
            return struct.unpack_from(form, self.data, at)
        except struct.error:
            return ()
