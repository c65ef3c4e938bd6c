"""Tables of text: CSV, TSV, semicolons, markdown, and columns aligned by spaces."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from service.core.diagnosis.histories.names import CLEAN, counter, meaning
from service.core.diagnosis.histories.table import (
    MOST_COLUMNS,
    Row,
    Source,
    Table,
    check_columns,
    check_size,
    limited,
    pivoted,
)

DELIMITERS = (",", "\t", ";", "|")
SPACES = re.compile(r"\s{2,}|\t")
RULE = re.compile(r"[-=+|: \u2500-\u257f]+")  # lines that only draw
COMMENT = "#"
LONG_KEYS = ("key", "metric", "tag", "metric_name", "metric name", "name")
LONGEST_LINE = 1 << 20
RUN_SEPARATOR = " - "  # Weights & Biases exports a chart with columns `RUN - METRIC`, with __MIN and __MAX beside
EXTREMES = ("__MIN", "__MAX")
# The names that tell a framework, with its own name. All names of a row must be there; the first row that fits counts.
FORMATS = (
    ("Lightning metrics.csv", {"epoch", "step"}),
    ("Ultralytics results.csv", {"epoch", "train/loss", "val/loss"}),
    ("Ultralytics results.csv", {"epoch", "train/cls_loss", "val/cls_loss"}),
    ("timm summary.csv", {"epoch", "train_loss", "eval_loss"}),
    ("fastai CSVLogger", {"epoch", "train_loss", "valid_loss", "time"}),
    ("Keras CSVLogger", {"epoch", "loss"}),
    ("Weights & Biases export", {"_step"}),
    ("Rightfit history", {"epoch", "improved", "epochs_without_improvement"}),
)


def read(source: Source) -> Table | None:
    """A table with a header whose names tell what the columns hold."""
    named = set(source.given.values())
    for header, rows, delimiter in _splits(source.lines):
        if any(_is_known(name) for name in header) or named & set(header) or _is_long(header):
            return _table(header, rows, delimiter)
    return None


def header_of(source: Source) -> list[str]:
    """The names of a table that has no known column, for a message; empty if there is no table."""
    return next((header for header, _, _ in _splits(source.lines) if len(header) > 1), [])


def _is_known(name: str) -> bool:
    column = name.rpartition(RUN_SEPARATOR)[2]
    return meaning(column) is not None or name in CLEAN


def _is_long(header: Sequence[str]) -> bool:
    return _long_key(header) is not None and any(counter(name) == "step" for name in header)


def _long_key(header: Sequence[str]) -> tuple[str, str] | None:
    """The columns of names and values where each row has one measure."""
    lower = {name.lower(): name for name in header}
    key = next((lower[name] for name in LONG_KEYS if name in lower), None)
    return (key, lower["value"]) if key and "value" in lower else None


def _splits(given: Sequence[str]) -> Iterator[tuple[list[str], list[list[str]], str]]:
    """The header and the rows of lines by each delimiter that gives them the same number of fields."""
    lines = [line for line in given if len(line) <= LONGEST_LINE]
    lines = [line for line in lines if not line.startswith(COMMENT) and not RULE.fullmatch(line.strip())]
    if not lines:
        return
    inside = [delimiter for delimiter in DELIMITERS if delimiter in lines[0]]
    for delimiter in inside:
        yield from _fitting(_csv(lines, delimiter), delimiter)
    start = next((at for at, line in enumerate(lines) if _is_header(SPACES.split(line.strip()))), None)
    if start is not None:
        yield from _fitting((SPACES.split(line.strip()) for line in lines[start:]), " ")
    if not inside:
        yield from _fitting(([line] for line in lines), ",")


def _is_header(fields: Sequence[str]) -> bool:
    return (
        1 < len(fields) <= MOST_COLUMNS
        and sum(meaning(field) is not None or counter(field) is not None for field in fields) > 1
    )


def _csv(lines: Sequence[str], delimiter: str) -> Iterable[list[str]]:
    csv.field_size_limit(LONGEST_LINE)
    try:
        for fields in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            is_framed = delimiter == "|" and len(fields) > 2 and not fields[0].strip() and not fields[-1].strip()  # noqa: PLR2004 - the frame and a field
            yield fields[1:-1] if is_framed else fields
    except csv.Error:  # a field without its closing quote: what was read so far counts
        return


def _fitting(lines: Iterable[list[str]], delimiter: str) -> Iterator[tuple[list[str], list[list[str]], str]]:
    header, *rows = [[field.strip() for field in fields] for fields in lines] or [[]]
    rows = [row for row in rows if row != header and any(row)]  # a resumed run writes its header again
    fitting = [row for row in rows if len(row) == len(header)]
    if fitting and 2 * len(fitting) >= len(rows):
        check_columns(header)
        yield header, fitting, delimiter


def _table(header: list[str], rows: list[list[str]], delimiter: str) -> Table:
    cells: Sequence[Row] = [dict(zip(header, row, strict=True)) for row in limited(rows)]
    if (long := _long_key(header)) and _is_long(header):
        without_times = [{n: c for n, c in row.items() if "time" not in n.lower()} for row in cells]
        return Table("MLflow export", pivoted(without_times, *long))
    if any(RUN_SEPARATOR in name for name in header):
        return Table("Weights & Biases export", _by_run(header, cells))
    return Table(_format(header, delimiter), cells)


def _format(header: Sequence[str], delimiter: str) -> str:
    names = {name.lower() for name in header}
    known = next((format_ for format_, needed in FORMATS if needed <= names), None)
    plain = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons", "|": "markdown table"}
    return known or plain.get(delimiter, "table")


def _by_run(header: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Columns `RUN - METRIC` as rows of each run."""
    by_run: dict[str, list[str]] = {}
    for name in header:
        by_run.setdefault(name.rpartition(RUN_SEPARATOR)[0], []).append(name)
    shared = by_run.pop("", [])
    check_size(len(rows) * len(by_run), len(rows) * sum(len(shared) + len(names) for names in by_run.values()))
    return [{**_without_extremes([*shared, *names], row), "run": run} for run, names in by_run.items() for row in rows]


def _without_extremes(names: Sequence[str], row: Row) -> Row:
    return {name.rpartition(RUN_SEPARATOR)[2]: row[name] for name in names if not name.endswith(EXTREMES)}
