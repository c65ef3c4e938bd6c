"""The options of a job as inputs of a form, derived from the schema of the spec."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marshmallow import fields as ma
from marshmallow.fields import Field
from marshmallow.validate import OneOf

from service.schemas.fields import Flag, Labels, ShortList, Switch, Tagged
from service.schemas.spec import JobSpecSchema

MAIN = (  # the options that the form shows first
    "/dataset/id",
    "/model/arch",
    "/dataset/val_fraction",
    "/dataset/test_fraction",
    "/name",
    "/recipe",
)
NAMES = {"dataset": "Data", "model": "Network", "": "Run"}  # titles of sections; the others have the name of the part
TITLES = {  # labels of inputs whose own name is too general
    "/dataset/id": "data set",
    "/dataset/val_fraction": "validation pictures, %",
    "/dataset/test_fraction": "test pictures, %",
    "/model/arch": "network",
    "/optimizer/lr": "learning rate",
    "/optimizer/name": "update rule",
    "/schedule/name": "shape",
    "/webhook/url": "address",
}
# The end of a description, which names releases: of use to programs, not to the form.
RELEASES = re.compile(r"\. (Since [\d.]+|[\w, ]+ since [\d., \w]+)$")
MEANINGS = {  # shorter help than the description in the API document
    "/name": "",
    "/dataset/id": "",
    "/dataset/val_fraction": "They choose the best epoch.",
    "/dataset/test_fraction": "They are scored once, at the end.",
    "/seed": "The same seed gives the same split and result. Leave empty for a random one.",
    "/model/pretrained": "Start from weights that were trained on photographs. Best for few pictures.",
    "/regularization/weight_decay": "Usual: 0.0001 to 0.01. Keeps weights small.",
    "/batch_size": "Images per training step.",
    "/regularization/dropout": "Try 0.3 when the model memorizes.",
}
MANY = "torchvision"  # the family of networks that share all options


@dataclass(frozen=True)
class Input:
    """One option. `kind` is flag, choice, switch (false, true or a word), number, text, list, json or pairs.

    `group` is the pointer of its optional part, `arch` the network that has the option; empty if there is none.
    """

    pointer: str
    kind: str
    default: Any
    meaning: str
    allowed: str
    choices: tuple[str, ...] = ()
    group: str = ""
    arch: str = ""

    @property
    def id(self) -> str:
        """The id of its element. It has the network's name, as two networks can have options of the same name."""
        return f"o{self.pointer.replace('/', '-')}{'-' if self.arch else ''}{self.arch}"

    @property
    def name(self) -> str:
        """The label of the input."""
        return TITLES.get(self.pointer) or self.pointer.rpartition("/")[2].replace("_", " ")


@dataclass(frozen=True)
class Section:
    """Options of one part of the spec. `optional` says of each optional part (a pointer) if it is there by default."""

    title: str
    inputs: tuple[Input, ...]
    optional: Mapping[str, bool]


@cache
def sections() -> tuple[Section, ...]:
    """All options, by part of the spec."""
    top: list[Input] = []
    parts: list[Section] = []
    for name, field in JobSpecSchema().fields.items():
        pointer = f"/{name}"
        if isinstance(field, ma.Nested):
            optional = _optional(pointer, field)
            inputs = tuple(_inside(pointer, field, pointer if optional else "", optional))
            parts.append(_section(name, inputs, optional))
        elif isinstance(field, Tagged):
            parts.append(_section(name, tuple(_networks(pointer, field)), {}))
        else:
            top.append(_input(pointer, field))
    return (_section("", tuple(top), {}), *parts)


def archs() -> dict[str, str]:
    """Each architecture with the family whose options it has."""
    field = JobSpecSchema().fields["model"]
    return {name: _family(name, schema) for name, schema in field.choices.items()}


def _section(name: str, inputs: tuple[Input, ...], optional: Mapping[str, bool]) -> Section:
    return Section(NAMES.get(name, name.replace("_", " ").capitalize()), inputs, dict(optional))


def _optional(pointer: str, field: Field[Any]) -> dict[str, bool]:
    return {pointer: field.metadata.get("default", "there") is not None} if field.allow_none else {}


def _inside(pointer: str, field: Any, group: str, optional: dict[str, bool]) -> Iterator[Input]:
    for name, inner in field.schema.fields.items():
        below = f"{pointer}/{name}"
        if isinstance(inner, ma.Nested):
            optional.update(_optional(below, inner))
            yield from _inside(below, inner, below if inner.allow_none else group, optional)
        else:
            yield _input(below, inner, group)


def _networks(pointer: str, field: Tagged) -> Iterator[Input]:
    names = tuple(field.choices)
    yield Input(f"{pointer}/arch", "choice", names[0], "", "a network's name", names)
    seen = set()
    for name, schema in field.choices.items():
        family = _family(name, schema)
        if family in seen:
            continue
        seen.add(family)
        for inner, option in schema.fields.items():
            if inner != "arch":
                yield _input(f"{pointer}/{inner}", option, arch=family)


def _family(name: str, schema: Any) -> str:
    return MANY if "pretrained" in schema.fields else name


def _input(pointer: str, field: Field[Any], group: str = "", arch: str = "") -> Input:
    kind, choices = _kind(field)
    metadata = field.metadata
    meaning = MEANINGS.get(pointer, RELEASES.sub("", str(metadata["description"])))
    return Input(pointer, kind, metadata.get("default"), meaning, str(metadata["allowed"]), choices, group, arch)


def _kind(field: Field[Any]) -> tuple[str, tuple[str, ...]]:
    if isinstance(field, Switch):
        return "switch", ("false", "true", *field.words)
    for check in field.validators:
        if isinstance(check, OneOf):
            return "choice", tuple(str(choice) for choice in check.choices)
    if isinstance(field, Flag):
        return "flag", ()
    if isinstance(field, ma.Integer | ma.Float):
        return "number", ()
    if isinstance(field, Labels):
        return "pairs", ()
    if isinstance(field, ShortList):
        inner = field.inner
        return ("list" if isinstance(inner, ma.Integer | ma.Float | ma.String) else "json"), ()
    return "text", ()
