"""Lists that are read page by page."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from service.schemas.query_fields import about, integer

MAX_PAGE = 100


class PageQuerySchema(Schema):
    """Which page of a list."""

    limit = integer("entries per page", 1, MAX_PAGE, 20)
    after = fields.String(
        load_default=None,
        validate=validate.Regexp(r"^c[0-9]{1,18}$", error="Must be a next_cursor."),
        metadata=about("the next_cursor of the previous page", "a next_cursor"),
    )

    @post_load
    def _page(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        after = data.pop("after")
        return data | {"before_seq": int(after[1:]) if after else None}


class NextCursor(fields.String):
    """The cursor of the next page; null on the last one."""

    def __init__(self) -> None:
        super().__init__(
            allow_none=True, metadata={"description": "send it as `after` to get the next page; null on the last page"}
        )


def cursor(seq: int | None) -> str | None:
    """The opaque text that `after` accepts; None for None."""
    return None if seq is None else f"c{seq}"
