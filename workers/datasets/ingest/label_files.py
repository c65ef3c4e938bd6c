"""Label files: a table (CSV, TSV) or JSON lines with a row for each image.

A row has the image's file name, and its label, its group, its part of the split, or some of these. Spellings of the
columns are those of Hugging Face's ImageFolder, Keras, Google's and Azure's AutoML, Label Studio and Kaggle.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from service.core.errors import InvalidData
from service.core.text import control_character
from workers.datasets.ingest.folder_words import part_of

STEMS = ("labels", "label", "metadata", "annotations", "trainlabels", "imagelabels")
TABLES, LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
FILE_NAMES = "file_name filename file image image_name image_path image_file path filepath file_path image_id"
LABELS, GROUPS, SPLITS = "label labels class class_name category target choice", "group groups group_id", "split subset"
COLUMNS: Mapping[str, Sequence[str]] = {  # the first spelling that a table has counts
    "file_name": FILE_NAMES.split(),
    "label": LABELS.split(),
    "group": GROUPS.split(),
    "split": SPLITS.split(),
}
ALLOWED = "the columns file_name and label, group or split"
DELIMITERS = ",;\t"


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
    """The rows of a label file, and its wrong rows with their lines. `folder`: the folder that the names start from."""

    name: str
    folder: str = ""
    columns: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)


def is_label_file(name: str) -> bool:
    """Whether a file's name is that of a label file."""
    path = PurePosixPath(name.lower())
    return path.suffix in (*TABLES, *LINES) and re.sub("[-_ ]", "", path.stem) in STEMS


def parse(name: str, data: bytes) -> LabelFile:
    """Read a label file. Wrong rows are kept as faults. Raises InvalidData for a file that is no label file."""
    text = _decoded(name, data)
    lines = _json_lines(text) if PurePosixPath(name.lower()).suffix in LINES else _table(name, text)
    file = LabelFile(name, name.rpartition("/")[0])
    given = list(lines)
    if not given:
        raise InvalidData(f"{name!r} has no rows; expected: {ALLOWED}")
    columns = {column for _, values, _ in given for column in values}
    chosen = {key: column for key, names in COLUMNS.items() if (column := next((n for n in names if n in columns), ""))}
    if "file_name" not in chosen or len(chosen) == 1:
        has = ", ".join(ascii(column)[:40] for column in sorted(columns)[:10]) or "no columns"
        raise InvalidData(f"{name!r} has {has}; expected: {ALLOWED}")
    file.columns = frozenset(chosen) - {"file_name"}
    for line, values, fault in given:
        row = {key: values.get(column, "") for key, column in chosen.items()}
        if wrong := fault or _fault(row):
            file.faults[line] = wrong
        else:
            part = part_of(row["split"]) if "split" in row else None
            file.rows.append(Row(line, row["file_name"], row.get("label"), row.get("group"), part))
    return file


Line = tuple[int, dict[str, str], str]  # the line, the values by column, and what is wrong with the line


def _fault(row: Mapping[str, str]) -> str:
    """What is wrong with the values of a row; empty if nothing is."""
    for column, value in row.items():
        if character := control_character(value):
            return f"its {column} has the control character {character}"
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
    header, _, _ = text.lstrip().partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: list[str] = []
    began = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidData(f"{name!r} is no table, line {reader.line_num}: {error}") from error
        line, began = began, reader.line_num + 1
        cells = [_text(cell) for cell in cells]
        if not any(cells):
            continue
        if not columns:
            columns = [_column(cell) for cell in cells]
            if twice := [column for column in columns if column and columns.count(column) > 1]:
                raise InvalidData(f"{name!r} has the column {twice[0]!r} twice")
            continue
        more = len(cells) > len(columns) and any(cells[len(columns) :])
        fault = f"it has {len(cells)} values, and the header {len(columns)}" if more else ""
        yield line, dict(zip(columns, cells, strict=False)), fault


def _json_lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, {}, f"it is no JSON: {error}"[:200]
            continue
        if not isinstance(value, dict):
            yield number, {}, "it is no JSON object"
            continue
        values = {_column(key): _scalar(member) for key, member in value.items()}
        known = {name for names in COLUMNS.values() for name in names}
        odd = [key for key, member in values.items() if member is None and key in known]
        texts = {key: member for key, member in values.items() if member is not None}
        yield number, texts, f"its {odd[0]} is a list or an object; allowed: one value" if odd else ""


def _scalar(value: Any) -> str | None:
    """A value as text; None for a list or an object."""
    if isinstance(value, list | dict):
        return None
    return "" if value is None else _text(str(value))


def _text(value: str) -> str:
    return unicodedata.normalize("NFC", value.strip())


def _column(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())
