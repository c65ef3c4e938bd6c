"""Fields of answers: how values of the core are written as JSON, with their types for the API document."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import fields

from service.core.spec import JobSpec

TEXT_BY_NAME = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT_BY_NAME = {"type": "object", "additionalProperties": {"type": "integer"}}
TEXTS = {"type": "array", "items": {"type": "string"}}


def format_time(seconds: float) -> str:
    """Unix seconds as RFC 3339, in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Timestamp(fields.Field[float]):
    """Unix seconds, written as RFC 3339 in UTC with milliseconds."""

    def _serialize(self, value: float | None, *args: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_time(value)


class AnyValue(fields.Raw):
    """Any JSON value."""

    def __init__(self, **kwargs: Any) -> None:
        types = {"type": ["object", "array", "string", "number", "boolean"]}
        super().__init__(**kwargs | {"allow_none": True, "metadata": types | kwargs.get("metadata", {})})


class Word(fields.String):
    """A member of an enumeration, written as its value."""


class SpecField(fields.Field[JobSpec]):
    """A job spec, written with every default filled in. The API document refers to the schema of specs."""

    def _serialize(self, value: JobSpec | None, *args: Any, **kwargs: Any) -> Any:
        return value and value.to_dict()


class SameObject(fields.Nested):
    """A nested object whose members are attributes of the outer object itself."""

    def get_value(self, obj: Any, *args: Any, **kwargs: Any) -> Any:
        return obj
