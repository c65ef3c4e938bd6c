"""A page of a list that is read newest first."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """`items`, the newest first. The next page begins before `next_seq`; None on the last page."""

    items: tuple[T, ...]
    next_seq: int | None
