"""Fields that are stricter than marshmallow's: JSON has types, and a number in quotes is not a number."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from service.core.text import control_character

WHOLE = re.compile(r"-?[0-9]{1,18}(?:\.0+)?")
SHOWN = 50  # characters of an unknown word that an error message repeats


def not_known(word: Any, known: Iterable[str]) -> str:
    """The message for an unknown word, with the most similar known word."""
    shown = str(word)[:SHOWN]
    near = difflib.get_close_matches(shown, known, n=1)
    return f"{shown!r} is not known" + (f"; did you mean {near[0]!r}?" if near else ".")


class Choice(validate.OneOf):
    """One of some words."""

    def _format_error(self, value: Any) -> str:
        return not_known(value, self.choices)


class Number(fields.Float):
    """A JSON number, finite."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class Whole(fields.Integer):
    """A JSON number without a fraction. 3.0 is one, as in JSON Schema."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not is_whole:
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, *args, **kwargs)


class WholeText(fields.Integer):
    """A whole number in a query, written with digits alone or with a fraction of zero: `3`, `-3`, `3.0`."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or not WHOLE.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value.partition(".")[0], *args, **kwargs)


class Flag(fields.Boolean):
    """true or false, and no other value."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Switch(fields.Raw):
    """true, false, or one of some words."""

    def __init__(self, words: Sequence[str], **kwargs: Any) -> None:
        super().__init__(validate=Choice([False, True, *words]), **kwargs)
        self.words = words

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool | str:
        if value in ("true", "false"):
            raise ValidationError(f"Must be {value} without quotes.")
        if not isinstance(value, bool) and value not in self.words:
            raise ValidationError(not_known(value, ["true", "false", *self.words]))
        return value  # type: ignore[no-any-return]  # one of those just named


class Text(fields.String):
    """Text that every database accepts and that reads as it is: valid Unicode without control characters."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if control_character(text):
            raise ValidationError(
                "Must not have control characters, lone surrogates or controls of the text direction."
            )
        return text


class ShortList(fields.List[Any]):
    """A list whose length is checked before its items: a list that is too long gets one message, not one per item."""

    def __init__(self, item: fields.Field[Any], low: int, high: int | None, **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.length = validate.Length(low, high)
        self.validators = [self.length]  # for the API document

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self.length(value)
        return super()._deserialize(value, *args, **kwargs)


class Labels(fields.Dict):
    """Pairs of text. Their number is checked first."""

    def __init__(self, key: fields.String, value: fields.String, most: int, **kwargs: Any) -> None:
        super().__init__(key, value, **kwargs)
        self.length = validate.Length(0, most)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        if isinstance(value, dict):
            self.length(value)
        try:
            pairs: dict[Any, Any] = super()._deserialize(value, *args, **kwargs)  # type: ignore[no-untyped-call]  # marshmallow
        except ValidationError as error:  # report a pair once, whether its key or its value is wrong
            if not isinstance(error.messages, dict):  # the value is not an object
                raise
            halves: dict[Any, dict[str, list[str]]] = error.messages
            by_key = {key: [text for messages in half.values() for text in messages] for key, half in halves.items()}
            raise ValidationError(by_key) from error
        return pairs


class Tagged(fields.Field[Any]):
    """One of several schemas, selected by the member `tag`. Without it the first applies, unless `tag_required`."""

    def __init__(self, tag: str, choices: Mapping[str, Schema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag, self.choices, self.tag_required = tag, choices, False

    def choose(self, value: Any) -> Schema | None:
        """The schema for a value, None for an unknown tag."""
        if not isinstance(value, dict) or self.tag not in value:
            return None if self.tag_required else next(iter(self.choices.values()))
        tag = value[self.tag]
        return self.choices.get(tag) if isinstance(tag, str) else None

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        chosen = self.choose(value)
        if chosen is None:
            message = not_known(value[self.tag], self.choices) if self.tag in value else "Required."
            raise ValidationError({self.tag: [message]})
        try:
            return chosen.load(value)
        except ValidationError as error:  # drop the valid half: it must not be combined with other members
            raise ValidationError(error.messages) from error


class WordOrObject(fields.Raw):
    """One of some words, or an object."""

    def __init__(self, words: Sequence[str], schema: Schema, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words, self.schema = words, schema

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            if value not in self.words:
                raise ValidationError(not_known(value, self.words))
            return value
        if not isinstance(value, dict):
            raise ValidationError("Must be a word or an object.")
        return self.schema.load(value)
