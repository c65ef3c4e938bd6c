"""Job specs from files and from the command line."""

import re
from typing import Any, TextIO

import click
import yaml

# Of YAML 1.2 (its core schema), which takes every JSON; the library's own are of 1.1, where 1e-3 is text and off is no.
SCALARS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
    "null": r"~|null|Null|NULL|",
}


class SaidTwice(yaml.YAMLError):
    """Which of two values is meant nobody knows."""


class Loader(yaml.SafeLoader):
    """Plain data only, with YAML 1.2's words for them."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - the library declares it without ClassVar

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise SaidTwice(f"{key.value!r} is said twice; the second time in line {key.start_mark.line + 1}")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for kind, pattern in SCALARS.items():
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{pattern})\\Z"), None)


def parsed(text: str, what: str) -> Any:
    """What YAML or JSON says."""
    try:
        return yaml.load(text, Loader)  # noqa: S506 - it is a SafeLoader
    except SaidTwice as error:
        raise click.BadParameter(str(error), param_hint=what) from error
    except yaml.YAMLError as error:
        raise click.BadParameter(f"neither YAML nor JSON: {error}", param_hint=what) from error


def text_of(file: TextIO, what: str) -> str:
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file.name} is no text; it must be YAML or JSON", param_hint=what) from error


def read(text: str, changes: tuple[str, ...] = ()) -> dict[str, Any]:
    """A spec with some values set: `model.hidden=[64]`."""
    spec = parsed(text, "SPEC")
    if not isinstance(spec, dict):
        raise click.BadParameter("a job spec is an object, with `dataset: {id: …}` at least", param_hint="SPEC")
    for change in changes:
        path, is_set, value = change.partition("=")
        if not (path and is_set):
            raise click.BadParameter(f"{change!r} is not PATH=VALUE", param_hint="--set")
        _set(spec, path.split("."), parsed(value, "--set"), change)
    return spec


def _set(spec: Any, path: list[str], value: Any, change: str) -> None:
    """Objects that are missing on the way are made; whether the service knows their names is for it to say."""
    inside = spec
    for n, name in enumerate(path):
        is_last = n == len(path) - 1
        if isinstance(inside, list):
            if not (name.isdecimal() and int(name) < len(inside)):
                raise click.BadParameter(
                    f"{change!r}: {name} is no index; the list has {len(inside)} items, counted from 0",
                    param_hint="--set",
                )
            key: Any = int(name)
        elif isinstance(inside, dict):
            key = name
        else:
            at = ".".join(path[:n])
            raise click.BadParameter(f"{change!r}: {at} is {inside!r}, there is nothing in it", param_hint="--set")
        if is_last:
            inside[key] = value
        else:
            if isinstance(inside, dict) and inside.get(key) is None:
                inside[key] = {}
            inside = inside[key]
