"""Reads one page of a table that is numbered by `seq`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, RowMapping, Select

from service.core.records.page import Page

T = TypeVar("T")


def read_page(
    c: Connection,
    query: Select[Any],
    seq: Column[int],
    limit: int,
    before: int | None,
    read: Callable[[Connection, Sequence[RowMapping]], tuple[T, ...]],
) -> Page[T]:
    """At most `limit` of the rows, the newest first, from before the row numbered `before` on. `read` makes records."""
    if before is not None:
        query = query.where(seq < before)
    rows = c.execute(query.order_by(seq.desc()).limit(limit + 1)).mappings().all()
    return Page(read(c, rows[:limit]), rows[limit - 1]["seq"] if len(rows) > limit else None)
