"""What a check of `doctor` says."""

from typing import NamedTuple


class Check(NamedTuple):
    """One line of the report; `remedy` is empty where there is nothing to do."""

    name: str
    is_ok: bool
    words: str
    remedy: str = ""
