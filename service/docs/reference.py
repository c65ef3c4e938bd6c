"""The reference of the spec as Markdown, made from where each field is declared, so that it can say nothing else."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal

from service.core.spec import JobSpec, Option, tag_of, tags_of
from service.docs.markdown import anchor

MOST_WORDS = 12  # of a choice in a cell of a table; more are listed below it
INTRODUCTION = """\
# Reference: every field of a job's spec

A spec is what `POST /v1/jobs` takes: a JSON object. Only `dataset.id` is required; what is left out takes its default,
and the job tells its effective spec with every default filled in. A name that is not here is refused, and so is a value
of another type or out of range: the answer lists all faults at once. `?validate_only=true` checks a spec and plans it
without storing anything.

How losses are measured: `val_loss` is plain cross entropy in eval mode and fp32, averaged per image, whatever the
objective. `train_loss` is the objective's data term as weights move, with dropout and augmentation in force;
`train_loss_clean` scores a part of the training images exactly as validation images are scored, so it is the one to
compare with `val_loss`. The same spec on the same machine gives the same history, bit for bit, on a CPU, also through
an interruption.

This page is made from the declarations that check the requests.
"""
NOUNS: Mapping[Any, str] = {bool: "boolean", int: "whole number", float: "number", str: "text"}
PLURALS: Mapping[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}


@dataclass(frozen=True)
class Section:
    """A part of the spec: its dataclass, its heading, and how it is called where another part has it as a field."""

    kind: Any
    heading: str
    name: str

    @property
    def link(self) -> str:
        return f"[{self.name}](#{anchor(self.heading)})"


@cache
def reference() -> str:
    """The whole page: the fields of a spec, then those of its parts, in the order of their declaration."""
    sections = {section.kind: section for section in (Section(JobSpec, "The spec", "spec"), *_parts(JobSpec, ""))}
    return "\n".join([INTRODUCTION, *(_section(section, sections) for section in sections.values())])


def _parts(kind: Any, path: str) -> Iterator[Section]:
    for name, hint in _hints(kind).items():
        members = list(_dataclasses(hint))
        inner = f"{path}{name}"
        for member in members:
            tag = tag_of(member)
            value = "torchvision" if tag and len(tags_of(member)) > 1 else tag and tags_of(member)[0]
            heading = f"`{inner}`: `{value}`" if tag and len(members) > 1 else f"`{inner}`"
            yield Section(member, heading, f"`{value or name}`")
            if member is not kind:
                yield from _parts(member, f"{inner}." if not tag else "")


def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _dataclasses(hint: Any) -> Iterator[Any]:
    """The dataclasses that a type is made of."""
    if is_dataclass(hint):
        yield hint
    for argument in typing.get_args(hint):
        yield from _dataclasses(argument)


def _section(section: Section, sections: Mapping[Any, Section]) -> str:
    rows = [_row(f, _hints(section.kind)[f.name], sections) for f in fields(section.kind)]
    words = " ".join((section.kind.__doc__ or "").split())
    table = ["| field | type | default | allowed | meaning |", "|---|---|---|---|---|", *rows]
    names = [f"Names of `{f.name}`: {_listed(option.choices)}.\n" for f in fields(section.kind)
             if (option := _option(f)).choices and _is_long(option.choices)]  # fmt: skip
    return "\n".join([f"## {section.heading}", "", words, "", *table, "", *names])


def _row(f: Field[Any], hint: Any, sections: Mapping[Any, Section]) -> str:
    option = _option(f)
    cells = [f"`{f.name}`", _type(hint, sections), _default(f), _allowed(hint, option), option.description]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _option(f: Field[Any]) -> Option:
    return typing.cast(Option, f.metadata["option"])


def _type(hint: Any, sections: Mapping[Any, Section]) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return f"object: {sections[hint].link}"
    if origin in (typing.Union, types.UnionType):
        members = [argument for argument in arguments if argument is not types.NoneType]
        if len(members) > 1:
            return f"object: {', '.join(sections[member].link for member in members)}"
        return f"{_type(members[0], sections)}, or null"
    if origin is tuple:
        item = arguments[0]
        if members := list(_dataclasses(item)):
            return f"list of objects: {', '.join(sections[member].link for member in members)}"
        return f"list of {PLURALS[str if typing.get_origin(item) is Literal else item]}"
    return NOUNS[str if origin is Literal else hint] if origin in (None, Literal) else "object of texts"


def _default(f: Field[Any]) -> str:
    if f.default is not MISSING:
        return f"`{json.dumps(f.default)}`"
    if f.default_factory is MISSING:
        return "required"
    if not (made := f.default_factory()):
        return "`{}`"
    kind: Any = type(made)
    return f"its own defaults, `{tags_of(kind)[0]}`" if tag_of(kind) else "its own defaults"


def _allowed(hint: Any, option: Option) -> str:
    """The range or the choice, and how many there may be."""
    words = list(_range(hint, option))
    if hint is bool:
        return "`true`, `false`"
    if option.length:
        low, high = option.length
        counted = {str: "characters", Mapping: "pairs"}.get(_stripped(hint), "entries")
        words.insert(0, f"{low if low == high else f'{low} to {high}'} {counted}")
    return ", each ".join(words) or ("" if any(_dataclasses(hint)) else "any")


def _range(hint: Any, option: Option) -> Iterator[str]:
    choices = option.choices or _literals(hint)
    if choices:
        yield f"one of the {len(choices)} names below" if _is_long(choices) else _listed(choices)
    elif option.bounds:
        yield option.bounds


def _stripped(hint: Any) -> Any:
    """What kind of thing may be counted: text, a mapping, or else a list."""
    members = [argument for argument in typing.get_args(hint) if argument is not types.NoneType]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return members[0]
    return Mapping if typing.get_origin(hint) is Mapping else hint


def _literals(hint: Any) -> tuple[str, ...]:
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    return next((found for argument in typing.get_args(hint) if (found := _literals(argument))), ())


def _is_long(choices: tuple[str, ...]) -> bool:
    return len(choices) > MOST_WORDS


def _listed(choices: tuple[str, ...]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)
