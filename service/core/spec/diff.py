"""Where job specs differ, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.core.spec import JobSpec

SET_ASIDE = ("name", "labels", "webhook", "priority")  # they change nothing of what is trained


def essential(spec: JobSpec) -> JobSpec:
    """The spec with the fields of SET_ASIDE all alike."""
    return replace(spec, name=None, labels={}, webhook=None, priority=0)


@dataclass(frozen=True)
class Differing:
    """A field of the spec, as a JSON pointer, and what each spec says there; one that has no such field is left out."""

    pointer: str
    values: Mapping[str, Any]


def differing(specs: Mapping[str, Mapping[str, Any]]) -> tuple[Differing, ...]:
    """The fields in which named specs (plain data, every default filled) differ, in the order of the spec.

    A list is compared as a whole, and so is an object that is null elsewhere. The fields of SET_ASIDE are told only
    where nothing else differs.
    """
    found = tuple(_walk("", specs, len(specs)))
    return tuple(field for field in found if field.pointer.split("/")[1] not in SET_ASIDE) or found


def _walk(pointer: str, values: Mapping[str, Any], count: int) -> Iterator[Differing]:
    if all(isinstance(value, Mapping) for value in values.values()):
        for name in dict.fromkeys(name for value in values.values() for name in value):
            inside = {key: value[name] for key, value in values.items() if name in value}
            yield from _walk(f"{pointer}/{_escaped(name)}", inside, count)
        return
    first = next(iter(values.values()))
    if len(values) < count or any(value != first for value in values.values()):
        yield Differing(pointer, values)


def _escaped(name: str) -> str:
    """As RFC 6901 has it."""
    return name.replace("~", "~0").replace("/", "~1")
