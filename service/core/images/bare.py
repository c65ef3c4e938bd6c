"""An encoded picture without its metadata, so that broken metadata cannot spoil it."""

from dataclasses import dataclass

from service.core.images.orientation import UPRIGHT


@dataclass(frozen=True)
class Bare:
    """The encoded picture, and the facts of its metadata that matter.

    `orientation` is that of EXIF, 1 to 8. `has_more`: the file has more pages or frames than the first. `divisor`
    brings its samples down to 8 bits, where the file declares their depth; None for plain samples of 8 or 16 bits.
    `is_negative`: 0 is white, contrary to the decoder's belief.
    """

    data: bytes
    orientation: int = UPRIGHT
    has_more: bool = False
    divisor: int | None = None
    is_negative: bool = False
