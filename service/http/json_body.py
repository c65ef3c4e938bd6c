"""The JSON body of a request, read strictly: UTF-8, each key of an object once, finite numbers (RFC 8259)."""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flask import g, request
from jsonpointer import escape
from werkzeug.exceptions import BadRequest

from service.core.errors import Fault, Invalid

MOST_FAULTS = 100  # in one answer; a longer list helps no reader
SHOWN = 20  # characters of a number that an error message repeats
UTF8 = ("utf-8", "utf-8-sig")  # the second has a byte order mark, which is skipped


def json_body() -> Any:
    """The value in the body of this request, parsed once. An empty body counts as an empty object.

    Raises Invalid with the pointers of keys given twice and of numbers that JSON does not have, and werkzeug's 400.
    """
    if "json_body" not in g:
        body = request.get_data()
        g.json_body = parse(body) if body else {}
    return g.json_body


def parse(body: bytes) -> Any:
    """The value of a JSON text. Raises as json_body does."""
    document = _Document()
    try:
        value = document.read(_decode(body))
        wrong = list(islice(_faults(value, ""), MOST_FAULTS)) if document.is_faulty else []
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body is not valid JSON: {error.msg} at {at}") from error
    if wrong:
        raise Invalid(wrong)
    return value


def _decode(body: bytes) -> str:
    encoding = json.detect_encoding(body)
    if encoding not in UTF8:
        raise BadRequest(f"the body is {encoding.upper()}; send JSON in UTF-8")
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from error


@dataclass(frozen=True)
class _Refused:
    """Stands for a number that is refused."""

    detail: str
    allowed: str


class _Repeating(dict[str, Any]):
    """An object in which the keys `repeated` are given more than once."""

    repeated: Sequence[str] = ()


class _Document:
    """Parses a text. The value has marks in the place of what is refused: the parser does not know their pointers."""

    def __init__(self) -> None:
        self.is_faulty = False

    def read(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_constant=lambda name: self._refused(f"{name} is not a JSON number"),
            parse_float=self._float,
            parse_int=self._int,
        )

    def _refused(self, detail: str, allowed: str = "a finite number") -> _Refused:
        self.is_faulty = True
        return _Refused(detail, allowed)

    def _float(self, digits: str) -> Any:
        value = float(digits)
        if math.isfinite(value):
            return value
        return self._refused(f"{digits[:SHOWN]} is too large: it would become Infinity")

    def _int(self, digits: str) -> Any:
        try:
            return int(digits)
        except ValueError:  # Python's limit for the conversion
            return self._refused(
                f"{digits[:SHOWN]}… has {len(digits)} digits", f"at most {sys.get_int_max_str_digits()} digits"
            )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self.is_faulty = True
        repeating, counts = _Repeating(members), Counter(name for name, _ in pairs)
        repeating.repeated = [name for name, count in counts.items() if count > 1]
        return repeating


def _faults(value: Any, pointer: str) -> Iterator[Fault]:
    """The faults of a parsed value and of the values in it, in their order."""
    if isinstance(value, _Refused):
        yield Fault(pointer, value.detail, value.allowed)
    elif isinstance(value, dict):
        for name in value.repeated if isinstance(value, _Repeating) else ():
            yield Fault(f"{pointer}/{escape(name)}", "the key is given more than once", "each key once in an object")
        for name, inner in value.items():
            yield from _faults(inner, f"{pointer}/{escape(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _faults(inner, f"{pointer}/{index}")
