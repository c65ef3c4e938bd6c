"""The events of a job: one for each change of its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """A change of a job at `at` (unix seconds); ids count from 1 for each job."""

    id: int
    type: str
    at: float
    data: Mapping[str, Any]
