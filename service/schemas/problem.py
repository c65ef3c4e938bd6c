"""Errors as RFC 9457 problem details, with the position of each fault as a JSON pointer (RFC 6901)."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonpointer import escape
from marshmallow import Schema, fields

from service.core.errors import Fault
from service.schemas.fields import Tagged, not_known

ONLY = "only "  # precedes the list of known names


class FaultSchema(Schema):
    """One thing wrong with the request."""

    pointer = fields.String(
        metadata={"description": "position as a JSON pointer; for a query parameter, / and its name"}
    )
    detail = fields.String(metadata={"description": "the fault"})
    allowed = fields.String(allow_none=True, metadata={"description": "the allowed values"})


class ProblemSchema(Schema):
    """application/problem+json"""

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    code = fields.String(metadata={"description": "a stable identifier for programs"})
    request_id = fields.String()
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": "every fault of an invalid request"})


def faults(messages: Any, schema: Schema, data: Any) -> Iterator[Fault]:
    """Turn marshmallow's nested messages into faults: each with its pointer and the allowed values."""
    yield from _walk(messages, [], schema, data)


def _walk(messages: Any, path: list[Any], schema: Schema, data: Any) -> Iterator[Fault]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            # marshmallow files messages about the whole object under _schema
            yield from _walk(inner, path if key == "_schema" else [*path, key], schema, data)
    else:
        pointer = "".join(f"/{escape(str(part))}" for part in path)
        allowed = allowed_at(schema, path, data)
        names = (allowed or "").removeprefix(ONLY).split(", ")
        for message in messages:
            is_unknown = message == schema.error_messages["unknown"]
            yield Fault(pointer, not_known(path[-1], names) if is_unknown else str(message), allowed)


def allowed_at(schema: Schema, path: list[Any], data: Any) -> str | None:
    """The allowed values at a path; for an unknown name, the known names."""
    inside: Schema | None = schema
    field: Any = None
    allowed: str | None = "an object"
    for part in path:
        if inside is not None:
            known = {field.data_key or name: field for name, field in inside.fields.items()}
            if part not in known:
                return ONLY + ", ".join(known)
            field = known[part]
            data = data.get(part) if isinstance(data, Mapping) else None
        elif isinstance(field, fields.List):
            field = field.inner
            data = data[part] if isinstance(data, list) else None
        else:  # a pair, or an unknown tag: the field above states the allowed values
            return ", ".join(field.choices) if isinstance(field, Tagged) else allowed
        allowed = field.metadata.get("allowed", allowed)
        inside = field.choose(data) if isinstance(field, Tagged) else getattr(field, "schema", None)
    return allowed
