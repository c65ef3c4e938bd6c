"""Where job specs differ, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jsonpointer import escape

from service.core.spec import JobSpec

SET_ASIDE = ("name", "labels", "webhook", "priority")  # fields without effect on the training


def essential(spec: JobSpec) -> JobSpec:
    """The spec with fixed values in the fields of SET_ASIDE, for comparing specs by what they train."""
    return replace(spec, name=None, labels={}, webhook=None, priority=0)


@dataclass(frozen=True)
class Differing:
    """A field of the spec, as a JSON pointer, with its values by spec. A spec without the field is absent."""

    pointer: str
    values: Mapping[str, Any]


def differing(specs: Mapping[str, Mapping[str, Any]]) -> tuple[Differing, ...]:
    """The fields in which named specs (plain data, every default filled) differ, in the order of the spec.

    A list is compared as a whole, and so is an object that is null in another spec. Fields of SET_ASIDE are included
    only if no other field differs.
    """
    fields = tuple(_walk("", specs, len(specs)))
    return tuple(field for field in fields if field.pointer.split("/")[1] not in SET_ASIDE) or fields


def _walk(pointer: str, values: Mapping[str, Any], count: int) -> Iterator[Differing]:
    if all(isinstance(value, Mapping) for value in values.values()):
        for name in dict.fromkeys(name for value in values.values() for name in value):
            inside = {key: value[name] for key, value in values.items() if name in value}
            yield from _walk(f"{pointer}/{escape(name)}", inside, count)
        return
    first = next(iter(values.values()))
    if len(values) < count or any(value != first for value in values.values()):
        yield Differing(pointer, values)
