"""The events of a job or of a fit: one for each change of its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """A change of a job or of a fit at `at` (unix seconds); ids count from 1 for each of them."""

    id: int
    type: str
    at: float
    data: Mapping[str, Any]
