"""Fills the options that a spec leaves open with the choices of a recipe."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonpointer import JsonPointer

from service.core.experiments.recipes import Choice, Recipe

SELECTORS = ("arch", "name")  # members that say what the members beside them mean


def left_open(given: Mapping[str, Any], recipe: Recipe) -> tuple[Choice, ...]:
    """The choices of a recipe without the values that a spec (plain data, as sent) gives itself.

    A choice is left out as a whole where the spec selects another network, optimizer or schedule than it.
    """
    return tuple(_left_open(given, recipe))


def _left_open(given: Mapping[str, Any], recipe: Recipe) -> Iterator[Choice]:
    for choice in recipe.choices:
        if any(_selects_another(given, pointer, value) for pointer, value in choice.values.items()):
            continue
        values = {pointer: value for pointer, value in choice.values.items() if not _is_given(given, pointer)}
        if values:
            yield replace(choice, values=values)


def filled(given: Mapping[str, Any], choices: tuple[Choice, ...]) -> dict[str, Any]:
    """A copy of the spec with the values of the choices, none of which it gives itself."""
    data: dict[str, Any] = {**given}
    for choice in choices:
        for pointer, value in choice.values.items():
            part, name = JsonPointer(pointer).parts[:-1], JsonPointer(pointer).parts[-1]
            if part:
                data[part[0]] = {**data.get(part[0], {}), name: value}
            else:
                data[name] = value
    return data


def _is_given(given: Mapping[str, Any], pointer: str) -> bool:
    """Whether the spec has a value at the pointer, or one at a part of it that has no members, such as null."""
    found: Any = given
    for name in JsonPointer(pointer).parts:
        if not isinstance(found, Mapping):
            return True
        if name not in found:
            return False
        found = found[name]
    return True


def _selects_another(given: Mapping[str, Any], pointer: str, value: Any) -> bool:
    *_, last = JsonPointer(pointer).parts
    if last not in SELECTORS or not _is_given(given, pointer):
        return False
    return bool(JsonPointer(pointer).resolve(given, None) != value)
