"""Lists that are read page by page."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

MAX_PAGE = 100


class PageQuerySchema(Schema):
    """Which page of a list."""

    limit = fields.Integer(
        load_default=20, validate=validate.Range(1, MAX_PAGE, error=f"Must be 1 to {MAX_PAGE}."),
        metadata={"description": "entries a page", "allowed": f"a whole number, 1 to {MAX_PAGE}"},
    )  # fmt: skip
    after = fields.String(
        load_default=None, validate=validate.Regexp(r"^c[0-9]{1,18}$", error="Not a cursor."),
        metadata={"description": "the next_cursor of the page before", "allowed": "a next_cursor"},
    )  # fmt: skip

    @post_load
    def _page(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        after = data.pop("after")
        return data | {"before_seq": int(after[1:]) if after else None}


def cursor(seq: int | None) -> str | None:
    """The opaque text that `after` takes."""
    return None if seq is None else f"c{seq}"
