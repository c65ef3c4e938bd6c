"""The segments of a JPEG: those of its pixels are kept, comments and most application data are dropped.

A decoder goes over all pixels once for each scan, however short the scan is. So their number is limited.

Formats: ITU-T T.81 (1992), annex B; JFIF: ITU-T T.871 (2011); CIPA DC-007, "Multi-Picture Format" (2009).
"""

import re
import struct
from collections.abc import Iterator

from service.core.errors import InvalidData
from service.core.images.bare import Bare
from service.core.images.ifd import Tiff
from service.core.images.orientation import EXIF_HEADER, orientation

MAGIC = b"\xff\xd8\xff"
SCAN, END, COMMENT = 0xDA, 0xD9, 0xFE  # markers
START_OF_SCAN = bytes([0xFF, SCAN])
PADDING = re.compile(rb"\xff+")
AFTER_PIXELS = re.compile(rb"\xff+([^\xff\x00\x01\xd0-\xd8])")  # a marker that ends the pixels of a scan
APPLICATION = range(0xE0, 0xF0)
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TABLES = (0xDB, 0xC4, 0xDD, 0xC0, 0xC1, 0xC2)  # with which the pixels begin
COLOURS = {0xE0: (b"JFIF\0", 16), 0xEE: (b"Adobe", 14)}  # how colours are stored: how it begins, its least length
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
INDEX_HEADER, INDEX, INDEX_ENTRY = b"MPF\0", 0xB002, 16  # of several pictures: the tag with the list, bytes of an entry
LONGEST = 2 + 65535 + 2  # bytes of a segment with its marker, and the marker after it
MOST_REPAIRS = 16  # of lengths, in one file
MOST_SCANS = 32  # programs write 1 to 10, and up to 26 for CMYK
MOST_SEGMENTS = 10_000  # before the first scan
BITS = 8


def bare(data: bytes) -> Bare:
    """The JPEG without its metadata. Raises InvalidData where its samples have more than 8 bits."""
    exif: list[bytes] = []
    xmp: list[bytes] = []
    kept, has_more, after = [data[:2]], False, 2
    for marker, start, after in _segments(data):
        body = data[start + 4 : after]
        if marker in FRAMES and body[:1] not in (b"", bytes([BITS])):
            raise InvalidData(f"its samples have {body[0]} bits; a JPEG may have {BITS}")
        if _is_of_pixels(marker, body):
            kept.append(data[start:after])
        elif body.startswith(EXIF_HEADER):
            exif.append(body)
        elif body.startswith(XMP_HEADER):
            xmp.append(body)
        elif body.startswith(INDEX_HEADER):
            has_more = _has_equals(data, start + 4 + len(INDEX_HEADER), after)
    after = _without_padding(data, after)
    _refuse_many_scans(data, after)
    kept.append(data[after:])
    return Bare(b"".join(kept), orientation(exif, xmp), has_more)


def _refuse_many_scans(data: bytes, at: int) -> None:
    """Raises InvalidData. `at` is the place of the first scan or before."""
    if data.count(START_OF_SCAN, at) <= MOST_SCANS:  # the bytes of a scan may lie elsewhere too, as in another picture
        return
    scans = 0
    while marker_match := AFTER_PIXELS.search(data, at):
        marker, at = marker_match[1][0], marker_match.end()
        if marker == END:
            return
        scans += marker == SCAN
        if scans > MOST_SCANS:
            raise InvalidData(f"it has more than {MOST_SCANS} scans; allowed: at most {MOST_SCANS}")
        if at + 2 > len(data):
            return
        at += int.from_bytes(data[at : at + 2], "big")


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The marker, the start and the end of each segment before the first scan.

    Ends early where no segment follows: from there on, the decoder looks for the next marker.
    """
    start, repairs, count = 2, 0, 0
    while (start := _without_padding(data, start)) + 4 <= len(data):
        count += 1
        if count > MOST_SEGMENTS:
            raise InvalidData(f"it has more than {MOST_SEGMENTS:,} segments before its pixels")
        marker, (length,) = data[start + 1], struct.unpack_from(">H", data, start + 2)
        if data[start] != 0xFF or marker in (0, SCAN):  # noqa: PLR2004 - every marker begins with it
            return
        end = start + 2 + length
        is_metadata = marker in APPLICATION or marker == COMMENT
        if is_metadata and (length < 2 or data[end : end + 1] != b"\xff") and repairs < MOST_REPAIRS:  # noqa: PLR2004
            end, repairs = _next_table(data, start), repairs + 1
        if not start < end <= len(data):
            return
        yield marker, start, end
        start = end


def _without_padding(data: bytes, start: int) -> int:
    """The place of the marker at `start`; any number of 0xFF may come before it."""
    padding = PADDING.match(data, start)
    return padding.end() - 1 if padding else start


def _is_of_pixels(marker: int, body: bytes) -> bool:
    if marker in COLOURS:
        begins, least = COLOURS[marker]
        return body.startswith(begins) and len(body) >= least - 2
    return marker not in APPLICATION and marker != COMMENT


def _next_table(data: bytes, start: int) -> int:
    """Where the pixels begin after a segment whose length is wrong, -1 if nowhere. A thumbnail in it is skipped."""
    near = data[: start + LONGEST]
    thumbnail, table = near.find(MAGIC, start + 2), _table(near, start + 2)
    if -1 < thumbnail < table:
        ends = near.find(b"\xff\xd9", thumbnail)
        return _table(near, ends) if ends > -1 else -1
    return table


def _table(data: bytes, at: int) -> int:
    places = (data.find(bytes([0xFF, marker]), at) for marker in TABLES)
    return min((place for place in places if place > -1), default=-1)


def _has_equals(data: bytes, at: int, end: int) -> bool:
    """Whether a further picture of the file is as large as the first. Previews and gain maps are smaller."""
    tiff = Tiff.of(data[at:end])
    values = next(tiff.directories()).values(INDEX) if tiff and tiff.start else ()
    entries = bytes(values)
    size = _size(data)
    for entry in range(INDEX_ENTRY, len(entries) - INDEX_ENTRY + 1, INDEX_ENTRY):
        (offset,) = struct.unpack_from(f"{tiff.order if tiff else '>'}I", entries, entry + 8)
        if offset and _size(data[at + offset :]) == size:
            return True
    return False


def _size(data: bytes) -> bytes:
    """The height and the width as the frame has them, empty where there is no frame."""
    return next((data[start + 5 : start + 9] for marker, start, _ in _segments(data) if marker in FRAMES), b"")
