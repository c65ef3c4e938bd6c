"""Checks which fields a multipart form has, so that no part of it is dropped in silence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jsonpointer import escape
from werkzeug.datastructures import FileStorage, MultiDict

from service.core.errors import Fault, Invalid
from service.schemas.fields import not_known


@dataclass(frozen=True)
class Form:
    """The fields of a form that are files, and those that are text."""

    files: MultiDict[str, FileStorage]
    texts: MultiDict[str, str]


def check_form(form: Form, files: Sequence[str], texts: Sequence[str] = (), most: int = 1) -> None:
    """Check that a form has only these fields, each of text once and each of files at most `most` times.

    Raises Invalid with every fault.
    """
    allowed = f"one file in {_each(files)}" if most == 1 else f"1 to {most} files in {_each(files)}"
    if texts:
        allowed += f"; one text in {_each(texts)}"
    found = [
        *_faults(form.files, files, texts, "a file, not text", most, allowed),
        *_faults(form.texts, texts, files, "text, not a file", 1, allowed),
    ]
    if found:
        raise Invalid(found)


def _each(names: Sequence[str]) -> str:
    return f"the field {names[0]}" if len(names) == 1 else f"each of {', '.join(names)}"


def _faults(
    sent: MultiDict[str, Any], known: Sequence[str], other: Sequence[str], mistaken: str, most: int, allowed: str
) -> Iterator[Fault]:
    """The faults of the sent fields of one kind, given the known names of this kind and of the other one."""
    for name, values in sent.lists():
        pointer = f"/{escape(name)}"
        if name in other and name not in known:
            yield Fault(pointer, f"the field holds {mistaken}", allowed)
        elif name not in known:
            yield Fault(pointer, not_known(name, known), allowed)
        elif len(values) > most:
            yield Fault(pointer, f"the form has {len(values)} fields of this name", allowed)
