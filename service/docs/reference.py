"""Generates the reference of the spec as Markdown from the declarations of its fields."""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal

from service.core.spec import JobSpec, Option, tag_of, tags_of
from service.docs.markdown import anchor

MAX_CHOICES_IN_CELL = 12  # longer lists of choices come below the table
INTRODUCTION = """\
# Reference: every field of a job's spec

A spec is the JSON object that you send to `POST /v1/jobs`. Only `dataset.id` is required. All other fields have
defaults. The job shows its spec with all defaults filled in. Unknown names, wrong types and values out of range are
errors. The answer lists all of them at once. `?validate_only=true` checks a spec and answers with a plan, without
storing anything.

The losses:

- `val_loss`: cross entropy on the validation images, averaged per image, in eval mode and fp32. It is plain cross
  entropy also if training uses another loss.
- `train_loss`: the loss that training minimizes, without penalties. It is measured while the weights change, with
  dropout and augmentation.
- `train_loss_clean`: cross entropy on a part of the training images, scored exactly like validation images. Compare it
  with `val_loss`.

On a CPU, the same spec on the same machine gives the same history, bit for bit, also after an interruption.

Related pages: [Early stopping](early_stopping.md) describes when training ends and which model is kept.
[Your data](datasets.md) lists the options of an upload: `labels`, `skip_broken` and `background`. The
[glossary](glossary.md) explains the terms.

This page is generated from the declarations that validate the requests.
"""
NOUNS: Mapping[Any, str] = {bool: "boolean", int: "whole number", float: "number", str: "text"}
PLURALS: Mapping[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}


@dataclass(frozen=True)
class Section:
    """A part of the spec: its dataclass, the heading of its section, and its name in the tables of other parts."""

    kind: Any
    heading: str
    name: str

    @property
    def link(self) -> str:
        return f"[{self.name}](#{anchor(self.heading)})"


@cache
def reference() -> str:
    """The whole page: the fields of a spec, then the fields of its parts, in the order of declaration."""
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
    """All dataclasses in a type hint, also inside unions and tuples."""
    if is_dataclass(hint):
        yield hint
    for argument in typing.get_args(hint):
        yield from _dataclasses(argument)


def _section(section: Section, sections: Mapping[Any, Section]) -> str:
    rows = [_row(f, _hints(section.kind)[f.name], sections) for f in fields(section.kind)]
    description = " ".join((section.kind.__doc__ or "").split())
    table = ["| field | type | default | allowed | meaning |", "|---|---|---|---|---|", *rows]
    return "\n".join([f"## {section.heading}", "", description, "", *table, "", *_long_choices(section.kind)])


def _long_choices(kind: Any) -> Iterator[str]:
    """A paragraph for each field whose choices do not fit into a cell of the table."""
    for f in fields(kind):
        choices = _option(f).choices
        if choices and _is_long(choices):
            yield f"Names of `{f.name}`: {_listed(choices)}.\n"


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
        if members[0] is bool and members[1:]:
            return "boolean or text"
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
    if not (default := f.default_factory()):
        return "`{}`"
    kind: Any = type(default)
    return f"its own defaults, `{tags_of(kind)[0]}`" if tag_of(kind) else "its own defaults"


def _allowed(hint: Any, option: Option) -> str:
    """The allowed length and the range or the choices."""
    limits = list(_range(hint, option))
    if _without_null(hint) is bool:
        return ", ".join(["`true`", "`false`", *limits])
    if option.length:
        low, high = option.length
        noun = {str: "characters", Mapping: "pairs"}.get(_without_null(hint), "entries")
        limits.insert(0, f"{low if low == high else f'{low} to {high}'} {noun}")
    return ", each ".join(limits) or ("" if any(_dataclasses(hint)) else "any")


def _range(hint: Any, option: Option) -> Iterator[str]:
    choices = option.choices or _literals(hint)
    if choices:
        yield f"one of the {len(choices)} names below" if _is_long(choices) else _listed(choices)
    elif option.bounds:
        yield option.bounds


def _without_null(hint: Any) -> Any:
    """The type without null; `Mapping` for a mapping with any keys and values."""
    members = [argument for argument in typing.get_args(hint) if argument is not types.NoneType]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return members[0]
    return Mapping if typing.get_origin(hint) is Mapping else hint


def _literals(hint: Any) -> tuple[str, ...]:
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    return next((values for argument in typing.get_args(hint) if (values := _literals(argument))), ())


def _is_long(choices: tuple[str, ...]) -> bool:
    return len(choices) > MAX_CHOICES_IN_CELL


def _listed(choices: tuple[str, ...]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)
