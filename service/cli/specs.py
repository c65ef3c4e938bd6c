"""Job specs from files and from the command line."""

import json
import re
from typing import Any, TextIO

import click
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import VersionedResolver

# Plain scalars of the core schema of YAML 1.2 that JSON has too. The library's own rules for 1.2 add more: dates, `<<`,
# and 1_000 as a number.
SCALARS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
    "null": r"~|null|Null|NULL|",
}
RESOLVERS = [(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})\\Z")) for kind, pattern in SCALARS.items()]


class CoreSchema(VersionedResolver):
    """Recognizes the scalars of SCALARS, whatever their first character; any other plain scalar is text."""

    @property
    def versioned_resolver(self) -> dict[None, list[tuple[str, re.Pattern[str]]]]:
        return {None: RESOLVERS}


def parse(text: str, source: str) -> Any:
    """The value of a YAML or JSON document. `source` names the argument in errors."""
    reader = YAML(typ="safe", pure=True)
    reader.Resolver = CoreSchema
    try:
        value = reader.load(text)
        json.dumps(value, allow_nan=False)
    except DuplicateKeyError as error:
        line = text.splitlines()[error.problem_mark.line :][0].strip()
        raise click.BadParameter(
            f"line {error.problem_mark.line + 1} repeats a key: {line}", param_hint=source
        ) from error
    except YAMLError as error:
        raise click.BadParameter(f"neither YAML nor JSON: {error}", param_hint=source) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise click.BadParameter(f"contains a value that JSON does not have: {error}", param_hint=source) from error
    return value


def read_text(file: TextIO, source: str) -> str:
    """The text of a file."""
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"{file.name} is not UTF-8 text; it must be YAML or JSON", param_hint=source
        ) from error


def read_spec(text: str, changes: tuple[str, ...] = ()) -> dict[str, Any]:
    """A spec with changed values. A change is PATH=VALUE: `model.hidden=[64]`."""
    spec = parse(text, "SPEC")
    if not isinstance(spec, dict):
        raise click.BadParameter("a job spec is an object, with `dataset: {id: …}` at least", param_hint="SPEC")
    for change in changes:
        path, has_value, value = change.partition("=")
        if not (path and has_value):
            raise click.BadParameter(f"{change!r} is not PATH=VALUE", param_hint="--set")
        try:
            _set(spec, path.split("."), parse(value, "--set"))
        except LookupError as error:
            raise click.BadParameter(f"{change!r}: {error.args[0]}", param_hint="--set") from error
    return spec


def _set(spec: dict[str, Any], path: list[str], value: Any) -> None:
    """Set the value at a path, and create objects that are missing on the way.

    Raises LookupError for a path that leads through a number or a text. The service validates the names.
    """
    parent: Any = spec
    for depth, name in enumerate(path[:-1]):
        key = _key(parent, name, path[:depth])
        if isinstance(parent, dict) and parent.get(key) is None:
            parent[key] = {}
        parent = parent[key]
    parent[_key(parent, path[-1], path[:-1])] = value


def _key(parent: Any, name: str, path: list[str]) -> str | int:
    """The key of an object or the index of a list that a name of a path stands for."""
    if isinstance(parent, dict):
        return name
    if not isinstance(parent, list):
        raise LookupError(f"{'.'.join(path)} is {parent!r}, which has no members")
    if not (name.isdecimal() and int(name) < len(parent)):
        raise LookupError(f"{name} is not an index; the list has {len(parent)} items, counted from 0")
    return int(name)
