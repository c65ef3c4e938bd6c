"""A cell of a table as a number."""

import math
import re
from typing import Any

MISSING = frozenset(("", "-", "--", "none", "null", "n/a", "na", "<na>"))
NOT_FINITE = {
    "nan": math.nan, "+nan": math.nan, "-nan": math.nan, "1.#qnan": math.nan, "1.#ind": math.nan, "-1.#ind": math.nan,
    "inf": math.inf, "+inf": math.inf, "infinity": math.inf, "+infinity": math.inf, "1.#inf": math.inf,
    "-inf": -math.inf, "-infinity": -math.inf,
}  # fmt: skip  # one line a number
TENSOR = re.compile(r"^(?:tensor|array|np\.float\d+)\(\s*\[?([^,\])]+).*\)$")
DECIMAL_COMMA = re.compile(r"^[-+]?\d+,\d+(?:[eE][-+]?\d+)?$")
NUMBER = re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$")
LONGEST = 100  # characters of a number
LARGEST = 1e15  # a larger loss counts as infinite: no chart and no rule can use it


def number(cell: Any) -> float | None:
    """The number in a cell: nan or infinite where the cell says so, None where it is empty or holds no number.

    Understands `tensor(0.41)`, a decimal comma, and `86.6%`, which is 0.866.
    """
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        return _bounded(cell)
    return _of_text(cell) if isinstance(cell, str) and len(cell) <= LONGEST else None


def _of_text(cell: str) -> float | None:
    text = cell.strip().strip("'\"")
    if text.isascii() and NUMBER.match(text):
        return _bounded(float(text))
    if match := TENSOR.match(text):
        text = match[1].strip()
    if text.lower() in MISSING:
        return None
    if (odd := NOT_FINITE.get(text.lower())) is not None:
        return odd
    is_percent = text.endswith("%")
    text = text.removesuffix("%").rstrip()
    if DECIMAL_COMMA.match(text):
        text = text.replace(",", ".")
    if not text.isascii() or not NUMBER.match(text):
        return None
    value = _bounded(float(text))
    return value / 100 if is_percent else value


def _bounded(value: float) -> float:
    try:
        value = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf if value > 0 else -math.inf
    return math.copysign(math.inf, value) if abs(value) > LARGEST else value + 0.0  # -0.0 is 0.0
