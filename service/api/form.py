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


def check_form(form: Form, files: Sequence[str], texts: Sequence[str]) -> None:
    """Check that a form has only these fields of files and of text, each at most once.

    Raises Invalid with every fault.
    """
    allowed = f"one file in each of {', '.join(files)}; one text in each of {', '.join(texts)}"
    found = [
        *_faults(form.files, files, texts, "a file, not text", allowed),
        *_faults(form.texts, texts, files, "text, not a file", allowed),
    ]
    if found:
        raise Invalid(found)


def _faults(
    sent: MultiDict[str, Any], known: Sequence[str], other: Sequence[str], mistaken: str, allowed: str
) -> Iterator[Fault]:
    """The faults of the sent fields of one kind, given the known names of this kind and of the other one."""
    for name, values in sent.lists():
        pointer = f"/{escape(name)}"
        if name in other and name not in known:
            yield Fault(pointer, f"the field holds {mistaken}", allowed)
        elif name not in known:
            yield Fault(pointer, not_known(name, known), allowed)
        elif len(values) > 1:
            yield Fault(pointer, f"the form has {len(values)} fields of this name", allowed)
