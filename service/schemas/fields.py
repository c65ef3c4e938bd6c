"""Fields that are stricter than marshmallow's: JSON has types, and a number in quotes is not a number."""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

SHOWN = 50  # characters of an unknown word, told back


def not_known(said: Any, known: Iterable[str]) -> str:
    """What a word is told that is none of those known: the one that was probably meant."""
    shown = str(said)[:SHOWN]
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


class Flag(fields.Boolean):
    """true or false, nothing that merely looks like it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Text(fields.String):
    """Text that every database can store: valid Unicode without control characters."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise ValidationError("No control characters and no lone surrogates.")
        return text


class ShortList(fields.List[Any]):
    """A list whose length is checked before its items: a long one costs one message, not one for each item."""

    def __init__(self, item: fields.Field[Any], low: int, high: int | None, **kwargs: Any) -> None:
        super().__init__(item, **kwargs)
        self.length = validate.Length(low, high)
        self.validators = [self.length]  # for the API document

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self.length(value)
        return super()._deserialize(value, *args, **kwargs)


class Labels(fields.Dict):
    """Pairs of text; how many they are is checked first."""

    def __init__(self, key: fields.String, value: fields.String, most: int, **kwargs: Any) -> None:
        super().__init__(key, value, **kwargs)
        self.length = validate.Length(0, most)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        if isinstance(value, dict):
            self.length(value)
        try:
            pairs: dict[Any, Any] = super()._deserialize(value, *args, **kwargs)  # type: ignore[no-untyped-call]  # marshmallow
        except ValidationError as error:  # a pair is one thing, whichever half of it is wrong
            if not isinstance(error.messages, dict):  # it is no object
                raise
            halves: dict[Any, dict[str, list[str]]] = error.messages
            told = {name: [text for half in found.values() for text in half] for name, found in halves.items()}
            raise ValidationError(told) from error
        return pairs


class Tagged(fields.Field[Any]):
    """One of several schemas, told apart by the member `tag`; without it the first is meant, unless it is required."""

    def __init__(self, tag: str, choices: Mapping[str, Schema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag, self.choices, self.tag_required = tag, choices, False

    def choose(self, value: Any) -> Schema | None:
        """The schema that a value is meant for; None where its tag names none."""
        if not isinstance(value, dict) or self.tag not in value:
            return None if self.tag_required else next(iter(self.choices.values()))
        tag = value[self.tag]
        return self.choices.get(tag) if isinstance(tag, str) else None

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Must be an object.")
        chosen = self.choose(value)
        if chosen is None:
            told = not_known(value[self.tag], self.choices) if self.tag in value else "Must be said."
            raise ValidationError({self.tag: [told]})
        try:
            return chosen.load(value)
        except ValidationError as error:  # half an object of a union says nothing about the others
            raise ValidationError(error.messages) from error


class WordOrObject(fields.Raw):
    """One of some words, or an object; the two mean the same kind of thing."""

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
