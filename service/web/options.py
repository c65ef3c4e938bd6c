"""The options of a job as inputs of a form, made from the schema of the spec: each is declared once, there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from marshmallow import fields as ma
from marshmallow.fields import Field
from marshmallow.validate import OneOf

from service.schemas.fields import Flag, Labels, ShortList, Tagged
from service.schemas.spec import JobSpecSchema

ESSENTIAL = (
    "/name", "/dataset/id", "/dataset/test_fraction", "/model/arch", "/epochs", "/batch_size", "/optimizer/lr",
    "/regularization/dropout", "/regularization/weight_decay", "/early_stopping/patience", "/seed",
)  # fmt: skip
NAMES = {"dataset": "Data", "model": "Network", "": "Run"}  # of sections; the others are called as in the spec
TITLES = {  # where the name within its part does not say enough
    "/dataset/id": "data set", "/model/arch": "network", "/optimizer/lr": "learning rate",
    "/optimizer/name": "update rule", "/schedule/name": "shape", "/webhook/url": "address",
}  # fmt: skip
MANY = "torchvision"  # the networks that are told apart by nothing but their names


@dataclass(frozen=True)
class Input:
    """One option. `kind` is flag, choice, number, text, list, json or pairs; `group` is the optional part it belongs to
    (its pointer), `arch` the network that has it.
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
        """What the element of the page is called; two networks may have an option of one name."""
        return f"o{self.pointer.replace('/', '-')}{'-' if self.arch else ''}{self.arch}"

    @property
    def name(self) -> str:
        """What people call it."""
        return TITLES.get(self.pointer) or self.pointer.rpartition("/")[2].replace("_", " ")


@dataclass(frozen=True)
class Section:
    """Options that belong together. `optional` are the pointers of parts that may be left out, with whether they are
    there unless one says so.
    """

    title: str
    inputs: tuple[Input, ...]
    optional: Mapping[str, bool]


@cache
def sections() -> tuple[Section, ...]:
    """All options, part by part."""
    top: list[Input] = []
    found: list[Section] = []
    for name, field in JobSpecSchema().fields.items():
        pointer = f"/{name}"
        if isinstance(field, ma.Nested):
            optional = _optional(pointer, field)
            found.append(
                _section(name, tuple(_inside(pointer, field, pointer if optional else "", optional)), optional)
            )
        elif isinstance(field, Tagged):
            found.append(_section(name, tuple(_networks(pointer, field)), {}))
        else:
            top.append(_input(pointer, field))
    return (_section("", tuple(top), {}), *found)


def archs() -> dict[str, str]:
    """Each architecture's name, with the one whose options it has."""
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
    yield Input(f"{pointer}/arch", "choice", names[0], "the architecture", "a network's name", names)
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
    told = field.metadata
    return Input(
        pointer, kind, told.get("default"), str(told["description"]), str(told["allowed"]), choices, group, arch
    )


def _kind(field: Field[Any]) -> tuple[str, tuple[str, ...]]:
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
