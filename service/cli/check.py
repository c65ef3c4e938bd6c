"""The result of one check of `doctor`."""

from typing import NamedTuple


class Check(NamedTuple):
    """One line of the report; `remedy` is empty if there is nothing to do."""

    name: str
    is_ok: bool
    words: str
    remedy: str = ""
