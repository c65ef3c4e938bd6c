"""The tags of a TIFF: those of its pixels are kept, the others dropped with whatever is wrong in them.

Format: Adobe, "TIFF Revision 6.0" (1992).
"""

from service.core.errors import InvalidData
from service.core.images.bare import Bare
from service.core.images.ifd import Directory, Tiff
from service.core.images.orientation import ORIENTATION, UPRIGHT

SUBFILE, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, FORMAT = 254, 258, 259, 262, 277, 284, 339  # tags
SIZE = (256, 257)  # the width and the height
OF_PIXELS = {
    *(*SIZE, BITS, COMPRESSION, PHOTOMETRIC, 266, SAMPLES, PLANES, FORMAT),  # 266: the order of bits
    *(273, 278, 279, 322, 323, 324, 325),  # strips and tiles
    *(292, 293, 317, 320, 332, 338),  # options of fax compression, predictor, palette, inks, extra samples
    *(347, *range(512, 522), *range(529, 533)),  # of JPEG, and of luminance and chrominance
}
NO_PAGE = 0b101  # bits of SUBFILE: a smaller copy, a mask
ZERO_IS_WHITE, ZERO_IS_BLACK = 0, 1  # values of PHOTOMETRIC; the decoder inverts samples of up to 8 bits alone
UNCOMPRESSED, SEPARATE = 1, 2  # values of COMPRESSION and PLANES
UNDEFINED = 4  # a value of FORMAT that means unsigned whole numbers too
REFUSED = {2: "signed whole numbers", 3: "floating-point numbers", 5: "complex numbers", 6: "complex numbers"}
ALLOWED_BITS = (1, 2, 4, 8, 12, 16)
BYTE_BITS, TWELVE_BITS = 8, 12
OF_PIECES = (273, 324)  # the offsets of strips, and of tiles
MOST_PIECES = 32_768  # the decoder begins anew for each
ALL_BITS = 256  # divides samples of 16 bits; of separate planes the decoder gives the upper bytes only


def bare(data: bytes) -> Bare:
    """The first page, without its metadata. Raises InvalidData for samples that cannot be pixels of up to 16 bits,
    and for pixels in too many pieces.
    """
    tiff = Tiff.of(data)
    pages = tiff.directories() if tiff else iter(())
    first = next(pages, None)
    if tiff is None or first is None or not first.entries.keys() >= set(SIZE):
        return Bare(data)
    bits = max(first.values(BITS), default=1)
    _refuse_other_samples(first, bits)
    _refuse_many_pieces(first)
    kept = {tag: entry for tag, entry in first.entries.items() if tag in OF_PIXELS}
    if UNDEFINED in first.values(FORMAT):
        del kept[FORMAT]
    is_negative = bits > BYTE_BITS and first.first(PHOTOMETRIC, ZERO_IS_WHITE) == ZERO_IS_WHITE
    if is_negative:
        kept[PHOTOMETRIC] = tiff.short(PHOTOMETRIC, ZERO_IS_BLACK)
    return Bare(
        tiff.with_directory([kept[tag] for tag in sorted(kept)]),
        first.first(ORIENTATION, UPRIGHT),
        has_more=any(page.entries and not page.first(SUBFILE, 0) & NO_PAGE for page in pages),
        divisor=_divisor(first, bits),
        is_negative=is_negative,
    )


def layout_in_words(data: bytes) -> str:
    """The number and the depth of the samples of the first page; empty for data that are no TIFF."""
    tiff = Tiff.of(data)
    first = next(tiff.directories(), None) if tiff else None
    if first is None or not first.entries:
        return ""
    bits = "/".join(map(str, first.values(BITS)[:8] or (1,)))
    return f"{first.first(SAMPLES, 1)} samples a pixel, of {bits} bits; allowed: gray, RGB, palette or CMYK"


def _refuse_other_samples(page: Directory, bits: int) -> None:
    kind = next((REFUSED[kind] for kind in page.values(FORMAT) if kind in REFUSED), "unsigned whole numbers")
    if kind in REFUSED.values() or bits not in ALLOWED_BITS:
        allowed = ", ".join(map(str, ALLOWED_BITS))
        raise InvalidData(f"its pixels are {kind} of {bits} bits; allowed: unsigned whole numbers of {allowed} bits")
    if bits > BYTE_BITS and page.first(PLANES, 1) == SEPARATE and page.first(COMPRESSION, 1) == UNCOMPRESSED:
        raise InvalidData(f"its channels of {bits} bits lie in separate planes; allowed: interleaved channels")


def _refuse_many_pieces(page: Directory) -> None:
    pieces = max((page.entries[tag].count for tag in OF_PIECES if tag in page.entries), default=0)
    if pieces > MOST_PIECES:
        raise InvalidData(f"its pixels lie in {pieces:,} strips or tiles; allowed: at most {MOST_PIECES:,}")


def _divisor(page: Directory, bits: int) -> int | None:
    if bits == TWELVE_BITS:
        return 1 << (TWELVE_BITS - BYTE_BITS)
    return ALL_BITS if bits > BYTE_BITS and page.first(PLANES, 1) == SEPARATE else None
