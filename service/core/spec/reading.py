"""From plain data to the dataclasses of the spec. The data is valid: schemas check the JSON of requests."""

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal

from service.core.spec.options import Option

TAGS = ("arch", "type")  # fields whose value selects the member of a union


def build(kind: Any, data: Any) -> Any:
    """Build a value of type `kind` (a dataclass of the spec, or the type of one of its fields) from JSON data.

    Missing fields get their defaults. A tag selects the member of a union. Without a tag, or with an unknown one, the
    first member without required fields is used; `unknown_parts` reports an unknown tag.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        members = [member for member in typing.get_args(kind) if member is not type(None)]
        return _member(members, data) if is_dataclass(members[0]) else build(members[0], data)
    if is_dataclass(kind):
        make = typing.cast(Any, kind)
        return make(**{name: build(hint, data[name]) for name, hint in _hints(make).items() if name in data})
    if origin is tuple:
        item = typing.get_args(kind)[0]
        return tuple(build(item, value) for value in data)
    if kind is float:
        return float(data)
    return dict(data) if isinstance(data, Mapping) else data


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    """The types of a dataclass's fields, by their names."""
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _member(members: Sequence[Any], data: Mapping[str, Any]) -> Any:
    for member in members:
        tag = tag_of(member)
        if tag is None or data.get(tag) in tags_of(member):
            return build(member, data)
    default = next(member for member in members if not _needs_data(member))
    return default() if any(tag in data for tag in TAGS) else build(default, data)


def _needs_data(kind: Any) -> bool:
    return any(f.default is MISSING and f.default_factory is MISSING for f in fields(kind))


def tag_of(member: Any) -> str | None:
    """The name of the field whose value selects this member of a union; None for a dataclass without such a field."""
    return next((f.name for f in fields(member) if f.name in TAGS), None)


@cache
def tags_of(member: Any) -> tuple[str, ...]:
    """The values of this field that select the member."""
    tag = next(f for f in fields(member) if f.name in TAGS)
    hint, option = _hints(member)[tag.name], typing.cast(Option, tag.metadata["option"])
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else option.choices or ()


def unknown_parts(data: Any, understood: Any, pointer: str = "") -> Iterator[str]:
    """JSON pointers of the values in stored `data` that the spec built from it lacks: options of a newer release.

    `understood` is this spec as plain data, with every default and every mark of a newer value.
    """
    if isinstance(data, Mapping) and isinstance(understood, Mapping):
        for name, value in data.items():
            if name not in understood or (name in TAGS and value != understood[name]):
                yield f"{pointer}/{name}"
            else:
                yield from unknown_parts(value, understood[name], f"{pointer}/{name}")
    elif isinstance(data, Mapping):
        yield pointer
    elif isinstance(data, Sequence) and not isinstance(data, str) and isinstance(understood, Sequence):
        for index, (value, known) in enumerate(zip(data, understood, strict=False)):
            yield from unknown_parts(value, known, f"{pointer}/{index}")
