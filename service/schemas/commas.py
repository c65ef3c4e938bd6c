"""Several values in one query parameter, separated by commas."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from service.schemas.fields import ShortList


class Commas(fields.String):
    """`low` to `high` values, each checked by `item`. Every value must match `spelling`, a regular expression.

    The API document shows a string with a pattern: only one value of a parameter is read, and a list type would allow
    the parameter to be repeated.
    """

    def __init__(self, item: fields.Field[Any], spelling: str, low: int, high: int, **kwargs: Any) -> None:
        self._items, self._spelling = ShortList(item, low, high), re.compile(spelling)
        super().__init__(**kwargs)
        self.metadata = {**self.metadata, "pattern": f"^{spelling}(,{spelling}){{{low - 1},{high - 1}}}$"}

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # for the default in the API document
        return ",".join(map(str, value))

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        texts = super()._deserialize(value, *args, **kwargs).split(",")
        values = self._items.deserialize(texts)
        errors = {at: ["Not in the allowed notation."] for at, text in enumerate(texts) if not self._spelled(text)}
        if errors:
            raise ValidationError(errors)
        return values

    def _spelled(self, text: str) -> bool:
        return self._spelling.fullmatch(text) is not None
