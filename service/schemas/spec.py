"""The job spec as JSON: marshmallow schemas generated from the dataclasses of service.core.spec.

The metadata of each field has its description and default for the API document, and `allowed` for error messages.
"""

import functools
import types
import typing
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, Literal

from marshmallow import Schema, post_load, validate
from marshmallow import fields as ma

from service.core.spec import JobSpec, Option, tag_of, tags_of
from service.schemas.fields import Choice, Flag, Labels, Number, ShortList, Switch, Tagged, Text, Whole

LABEL_KEY = validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}\Z", error="Up to 63 letters, digits and . _ / - only.")
LABEL_VALUE = validate.Length(0, 255)

Field = ma.Field[Any]


@functools.cache
def schema_of(kind: Any) -> type[Schema]:
    """The marshmallow schema of a dataclass of the spec. It only validates; JobSpec.from_dict fills in defaults."""
    hints = typing.get_type_hints(kind)
    members: dict[str, Any] = {"__doc__": kind.__doc__}
    for f in fields(kind):
        option: Option = f.metadata["option"]
        field = _field(hints[f.name], option)
        field.required = f.default is MISSING and f.default_factory is MISSING
        field.metadata = {**field.metadata, "description": option.description, **_default(f)}
        members[f.name] = field
    return type(f"{kind.__name__}SpecSchema", (Schema,), members)


def _default(f: Any) -> dict[str, Any]:
    if f.default is not MISSING:
        return {"default": list(f.default) if isinstance(f.default, tuple) else f.default}
    return {"default": {}} if f.default_factory is dict else {}


def _field(kind: Any, option: Option) -> Field:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union([choice for choice in arguments if choice is not types.NoneType], option)
    if is_dataclass(kind):
        return ma.Nested(schema_of(typing.cast(type, kind)), metadata={"allowed": "an object"})
    if origin is tuple:
        return _list(arguments[0], option)
    if origin is Literal:
        return _choice(arguments)
    if kind is bool:
        return Flag(metadata={"allowed": "true or false"})
    if kind in (int, float):
        return _number(kind, option)
    low, high = option.length or (0, None)
    if kind is str and option.choices:
        return _choice(option.choices)
    if kind is str:
        return Text(validate=validate.Length(low, high), metadata={"allowed": f"text of {low} to {high} characters"})
    allowed = f"at most {high} pairs of text, keys up to 63 and values up to 255 characters"
    return Labels(Text(validate=LABEL_KEY), Text(validate=LABEL_VALUE), high or 0, metadata={"allowed": allowed})


def _choice(choices: tuple[str, ...]) -> Field:
    return ma.String(validate=Choice(choices), metadata={"allowed": ", ".join(choices)})


def _union(choices: list[Any], option: Option) -> Field:
    if is_dataclass(choices[0]) and (tag := tag_of(choices[0])):
        schemas = [(tags_of(choice), schema_of(choice)()) for choice in choices]
        members = {name: schema for names, schema in schemas for name in names}
        return Tagged(tag, members, metadata={"allowed": f"an object whose {tag} is one of {', '.join(members)}"})
    if choices[0] is bool and choices[1:]:
        words = typing.get_args(choices[1])
        return Switch(words, metadata={"allowed": ", ".join(("true", "false", *words))})
    field = _field(choices[0], option)
    field.allow_none = True
    field.metadata = {**field.metadata, "allowed": f"{field.metadata['allowed']}, or null"}
    return field


def _list(kind: Any, option: Option) -> Field:
    item = _field(kind, replace(option, length=None))
    if isinstance(item, Tagged):
        item.tag_required = True
    low, high = option.length or (0, None)
    count = str(low) if low == high else f"{low} to {high}"
    allowed = f"a list of {count}, each {item.metadata['allowed']}"
    return ShortList(item, low, high, metadata={"allowed": allowed})


def _number(kind: type, option: Option) -> Field:
    noun = "a whole number" if kind is int else "a number"
    checks = [_range(option)] if option.bounds else []
    metadata = {"allowed": f"{noun}, {option.bounds}" if option.bounds else noun}
    if kind is int:
        return Whole(validate=checks, metadata=metadata)
    return Number(validate=checks, metadata=metadata)


def _range(option: Option) -> validate.Range:
    message = f"Must be {option.bounds}."
    inclusive = {"min_inclusive": not option.open_below, "max_inclusive": not option.open_above}
    return validate.Range(option.minimum, option.maximum, error=message, **inclusive)


class JobSpecSchema(schema_of(JobSpec)):  # type: ignore[misc]  # the base is made from the dataclass
    """What to train, on what, and when to stop. Only `dataset.id` is required."""

    @post_load
    def _build(self, data: dict[str, Any], **kwargs: Any) -> JobSpec:
        return JobSpec.from_dict(data)

    @staticmethod
    def partial_spec(valid: Any) -> JobSpec | None:
        """The spec made of the valid values, with defaults for the others; None without a data set.

        A part that lacks a required member is left out: that is a fault of its own.
        """
        if not isinstance(valid, dict) or "id" not in valid.get("dataset", {}):
            return None
        complete = {"dataset": valid["dataset"]}
        for name, value in valid.items():
            with suppress(TypeError):
                JobSpec.from_dict(complete | {name: value})
                complete[name] = value
        return JobSpec.from_dict(complete)
