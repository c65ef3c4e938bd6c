"""Units, and counts, numbers and sizes as text, the same on the pages and on the command line; unsafe characters."""

import unicodedata
from collections.abc import Iterable

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds
GIB = 1 << 30  # bytes

KIBI = 1024
SIZE_UNITS = ("B", "KiB", "MiB", "GiB")
MAX_ECHO = 200  # characters of a request that an error message repeats
# They embed or override a direction, so that a name reads as another one (UAX #9, section 2). The marks U+200E, U+200F
# and U+061C do not, and ordinary text in Arabic and Hebrew needs them.
DIRECTION_CONTROLS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def first_of(texts: Iterable[str], most: int, separator: str = ", ") -> str:
    """The first `most` texts, and how many more there are: `a, b and 3 more`; `a; b; and 3 more`."""
    texts = list(texts)
    more, mark = len(texts) - most, "" if separator == ", " else separator.rstrip()
    return separator.join(texts[:most]) + (f"{mark} and {more:,} more" if more > 0 else "")


def format_size(count: float | None, missing: str = "") -> str:
    """Bytes in the largest unit that fits: `512 B`, `1.5 KiB`, `2048.0 GiB`."""
    if count is None:
        return missing
    power = 0
    while count >= KIBI and power < len(SIZE_UNITS) - 1:
        count /= KIBI
        power += 1
    return f"{count:.{1 if power else 0}f} {SIZE_UNITS[power]}"


def format_number(value: float | None, missing: str = "") -> str:
    """A loss: 4 decimals below 1 (`0.6931`), 4 significant digits from 1 on (`2.303`)."""
    if value is None:
        return missing
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"


def format_percent(value: float | None, missing: str = "") -> str:
    """A share between 0 and 1: `61.3%`."""
    return missing if value is None else f"{value:.1%}"


def format_about(count: int) -> str:
    """A count rounded up to two significant digits: `48`, `130`, `1,300`."""
    step: int = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def shortened(text: str, most: int = MAX_ECHO) -> str:
    """The text, or its beginning with an ellipsis: at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def visible(text: str) -> str:
    """The text with escapes for the characters that no name may have: `\\x1b[31m`."""
    return "".join(ascii(character)[1:-1] if control_character(character) else character for character in text)


def control_character(text: str) -> str | None:
    """The first character that no name may have, as `U+001B`: a control character, a lone surrogate, or one of
    DIRECTION_CONTROLS.
    """
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") or character in DIRECTION_CONTROLS:
            return f"U+{ord(character):04X}"
    return None
