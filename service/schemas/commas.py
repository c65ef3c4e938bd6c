"""Several values in one query parameter, between commas."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.fields import ShortList


class Commas(fields.String):
    """`low` to `high` values, each checked by `item`; one that is spelled otherwise than `spelling`, a regular
    expression, is refused even where it could be understood.

    It is text in the API document, since only one value of a parameter is read and a list would allow several.
    """

    def __init__(self, item: fields.Field[Any], spelling: str, low: int, high: int, **kwargs: Any) -> None:
        self._items, self._spelling = ShortList(item, low, high), re.compile(spelling)
        super().__init__(**kwargs)
        self.metadata = {**self.metadata, "pattern": f"^{spelling}(,{spelling}){{{low - 1},{high - 1}}}$"}

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # for the default in the API document
        return ",".join(map(str, value))

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        given = super()._deserialize(value, *args, **kwargs).split(",")
        found = self._items.deserialize(given)
        odd = {
            at: ["Not spelled as it must be."] for at, text in enumerate(given) if not self._spelling.fullmatch(text)
        }
        if odd:
            raise ValidationError(odd)
        return found
