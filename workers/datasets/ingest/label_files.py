"""Label files: a table (CSV, TSV) or JSON lines with a row for each image.

A row has the image's file name, and its label, its group, its part of the split, or some of these.
"""

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from service.core.errors import InvalidData
from service.core.text import control_character
from workers.datasets.ingest.folder_words import part_of
from workers.datasets.ingest.label_columns import ALLOWED, column_name, is_known, is_vague, known_columns, squeezed

STEMS = ("labels", "label", "metadata", "annotations", "imagelabels")
OF_LABELS = re.compile(r"labels?|annotations?|metadata")
TABLES, LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
DELIMITERS = ",;\t|"
SEPARATOR = re.compile(r"sep=([,;\t|])\r?(?=\n)", re.IGNORECASE)  # Excel's first line
QUOTED = re.compile('"[^"]*"')
LONGEST = 1024  # characters of a value


@dataclass(frozen=True)
class Row:
    """What a label file says of one image. `part` is an index of PART_NAMES; None where the file has no such column."""

    line: int
    file: str
    label: str | None = None
    group: str | None = None
    part: int | None = None


@dataclass
class LabelFile:
    """The rows of a label file, and its wrong rows with their lines. `folder`: the folder that the names start from.
    `unread`: the names of the columns that are not read. `is_vague`: its rows may be about other things than images.
    """

    name: str
    folder: str = ""
    columns: frozenset[str] = frozenset()
    unread: Sequence[str] = ()
    is_vague: bool = False
    rows: list[Row] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)

    def of_part(self, part: int) -> "LabelFile":
        """The file with this part for each row that says none."""
        rows = [row if row.part is not None else replace(row, part=part) for row in self.rows]
        return replace(self, rows=rows)


def is_label_file(name: str) -> bool:
    """Whether a file's name is that of a label file."""
    path = PurePosixPath(name.lower())
    return path.suffix in (*TABLES, *LINES) and squeezed(path.stem) in STEMS


def part_of_table(name: str) -> int | None:
    """The part of the split that a table's name says, an index of PART_NAMES: `train.csv`, `test_labels.jsonl`."""
    path = PurePosixPath(name.lower())
    return part_of(OF_LABELS.sub("", path.stem)) if path.suffix in (*TABLES, *LINES) else None


def parse(name: str, data: bytes) -> LabelFile:
    """Read a label file. Wrong rows are kept as faults. Raises InvalidData for a file that is no label file."""
    text = _decoded(name, data)
    lines = list(_json_lines(text) if PurePosixPath(name.lower()).suffix in LINES else _table(name, text))
    if not lines:
        raise InvalidData(f"{name!r} has no rows; expected: {ALLOWED}")
    columns = list(dict.fromkeys(column for _, values, _ in lines for column in values if column))
    chosen = _chosen(name, columns, lines)
    file = LabelFile(
        name,
        name.rpartition("/")[0],
        columns=frozenset(chosen) - {"file_name"},
        unread=[column for column in columns if column not in chosen.values()],
        is_vague=is_vague(chosen["file_name"]),
    )
    for line, values, fault in lines:
        row = {key: values.get(column, "") for key, column in chosen.items()}
        if wrong := fault or _fault(row):
            file.faults[line] = wrong
        else:
            part = part_of(row["split"]) if "split" in row else None
            file.rows.append(Row(line, row["file_name"], row.get("label"), row.get("group"), part))
    return file


Line = tuple[int, dict[str, str], str]  # the line, the values by column, and what is wrong with the line


def _chosen(name: str, columns: Sequence[str], lines: Sequence[Line]) -> dict[str, str]:
    """The columns to read. A column that is not called split is one only if a value of it says a part: folds have
    numbers.
    """
    known = known_columns(name, columns)
    split = known.get("split", "split")
    if split in ("split", "subset") or any(part_of(values.get(split, "")) is not None for _, values, _ in lines):
        return known
    return known_columns(name, [column for column in columns if column != split])


def _fault(row: Mapping[str, str]) -> str:
    """What is wrong with the values of a row; empty if nothing is."""
    for column, value in row.items():
        if character := control_character(value):
            return f"its {column} has the control character {character}"
        if len(value) > LONGEST:
            return f"its {column} has {len(value):,} characters; at most {LONGEST:,}"
    if not row["file_name"]:
        return "it has no file_name"
    if row.get("label") == "":
        return f"{row['file_name']!r} has no label"
    if "split" in row and part_of(row["split"]) is None:
        return f"its split is {row['split'][:40]!r}; allowed: train, val (or validation), test"
    return ""


def _decoded(name: str, data: bytes) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidData(f"{name!r} is not text in UTF-8, line {line}; save it as CSV UTF-8") from error


def _table(name: str, text: str) -> Iterator[Line]:
    delimiter = ""
    if match := SEPARATOR.match(text):
        delimiter, text = match[1], text[match.end() :]
    header = QUOTED.sub("", text.lstrip().partition("\n")[0])
    delimiter = delimiter or max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    columns: list[str] = []
    began = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidData(f"{name!r} is not a table, line {reader.line_num}: {error}") from error
        line, began = began, reader.line_num + 1
        cells = [_text(cell) for cell in cells]
        if not any(cells):
            continue
        if not columns:
            columns = [column_name(cell) for cell in cells]
            if twice := [column for column in columns if column and columns.count(column) > 1]:
                raise InvalidData(f"{name!r} has the column {twice[0]!r} twice")
            known_columns(name, columns)  # before its rows are read: a table of pixels is large
            continue
        more = len(cells) > len(columns) and any(cells[len(columns) :])
        fault = f"it has {len(cells)} values, and the header {len(columns)}" if more else ""
        yield line, dict(zip(columns, cells, strict=False)), fault


def _json_lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(
                line, object_pairs_hook=_object, parse_constant=_refuse_number, parse_float=_text_of_number
            )
        except InvalidData as error:
            yield number, {}, str(error)
            continue
        except (ValueError, RecursionError) as error:
            yield number, {}, f"it is not JSON: {error}"[:200]
            continue
        if not isinstance(value, dict):
            yield number, {}, "it is not a JSON object"
            continue
        values = {column_name(key): _scalar(member) for key, member in value.items()}
        odd = [key for key, member in values.items() if member is None and is_known(key)]
        texts = {key: member for key, member in values.items() if member is not None}
        yield number, texts, f"its {odd[0]} is a list or an object; allowed: one value" if odd else ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise InvalidData(f"its key {twice[:40]!r} occurs twice; allowed: once")
    return members


def _refuse_number(name: str) -> None:
    raise InvalidData(f"{name} is not a JSON number; allowed: a finite number")


def _text_of_number(digits: str) -> str:
    """A number that is no integer literal: whole ones without a fraction, as 3 for 3.0."""
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidData(f"{digits[:40]} is too large; allowed: a finite number")
    return str(int(number)) if number.is_integer() else digits


def _scalar(value: Any) -> str | None:
    """A value as text; None for a list or an object."""
    if isinstance(value, list | dict):
        return None
    return "" if value is None else _text(str(value))


def _text(value: str) -> str:
    return unicodedata.normalize("NFC", value.strip())
