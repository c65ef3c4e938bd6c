"""What a reader makes of a file: rows of named cells. And the file, decoded and parsed once for all readers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from service.core.errors import Fault, Invalid
from service.core.text import first_of, shortened, visible

MOST_BYTES = 16 << 20
MOST_ROWS = 100_000
MOST_LINES = 2 * MOST_ROWS  # blank ones and the states of progress bars count too
MOST_COLUMNS, MOST_CELLS = 10_000, 2_000_000
SHOWN, LONGEST_SHOWN = 20, 100  # columns in a message, characters of their names
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b\n]*\x07|[\x08\ufeff]")  # what a terminal does not show
EXPECTED = (
    "a history with a column of losses: Keras (History.history, CSVLogger), Lightning metrics.csv, Hugging Face "
    "trainer_state.json, Ultralytics results.csv, timm summary.csv, fastai, skorch, TensorBoard, MLflow, Weights & "
    "Biases, any CSV, TSV, JSON or JSON lines with named columns, or a log with lines such as "
    "`Epoch 3/50, train loss: 0.41, val loss: 0.52`"
)

Row = Mapping[str, Any]
Cells = TypeVar("Cells", bound=Sized)


@dataclass(frozen=True)
class Table:
    """Rows in their order; a cell that is missing or None was not measured.

    `format` names the source in words. `notes` say what the reader assumed.
    """

    format: str
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> list[str]:
        """The names of all cells, in the order in which they appear first."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


class Source:
    """A file as it is, and the columns that its sender named."""

    def __init__(self, data: bytes, given: Mapping[str, str] | None = None) -> None:
        self.data, self.given = data, dict(given or {})

    @cached_property
    def text(self) -> str:
        """The file as text. Raises Invalid for bytes that no encoding explains."""
        if b"\0" in self.data and not self.data.startswith(UTF16):
            raise refusal("the file is binary, but not an event file of TensorBoard")
        for mark, encoding in ((UTF16[0], "utf-16"), (UTF16[1], "utf-16"), (b"", "utf-8-sig")):
            if self.data.startswith(mark):
                try:
                    text = self.data.decode(encoding)
                except UnicodeDecodeError:
                    break
                return text.replace("\r\n", "\n")
        return self.data.decode("latin-1").replace("\r\n", "\n")

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text that are not blank, as a terminal shows them. Raises Invalid if there are too many."""
        ends = self.text.count("\n") + self.text.count("\r")
        if ends > MOST_LINES:
            raise refusal(f"the history has {ends:,} lines", f"at most {MOST_LINES:,} lines; log once an epoch")
        return [line for line in re.split(r"[\r\n]", ANSI.sub("", self.text)) if line.strip()]

    @cached_property
    def document(self) -> Any:
        """The value of the file if it is one JSON text, else None. NaN and Infinity are read as Python writes them."""
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        check_values(self.data)
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


Reader = Callable[[Source], Table | None]


def refusal(detail: str, allowed: str = EXPECTED, pointer: str = "") -> Invalid:
    """The error for a file that is no history; `pointer` is the parameter that is wrong."""
    return Invalid([Fault(pointer, detail, allowed)])


def shown(name: str) -> str:
    """The name of a column or a run for a message: short, and without control characters."""
    return shortened(visible(name), LONGEST_SHOWN)


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """The first names for a message, and how many more there are."""
    return first_of([shown(name) for name in names[:most]] + list(names[most:]), most)


def without_losses(columns: Sequence[str]) -> Invalid:
    """The error for a table with these columns, at least one, none of which holds losses."""
    allowed = f"names such as loss and val_loss, or columns=val_loss:{shown(columns[-1])} with one of these columns"
    return refusal(f"no column has the name of a loss; the columns are: {listed(columns)}", allowed, "/columns")


def check_size(rows: int, cells: int) -> None:
    """Raises Invalid for a table with too many rows or cells."""
    if rows > MOST_ROWS:
        raise refusal(f"the history has {rows:,} rows", f"at most {MOST_ROWS:,} rows; log once an epoch")
    if cells > MOST_CELLS:
        allowed = f"at most {MOST_CELLS:,} numbers; keep the columns of epochs, losses and accuracies"
        raise refusal(f"the history has {cells:,} numbers", allowed)


def check_values(data: bytes) -> None:
    """Raises Invalid for a JSON text with too many values, which would take much memory; each has a comma."""
    values = data.count(b",") + 1
    if values > MOST_CELLS:
        raise refusal(f"the JSON has {values:,} values", f"at most {MOST_CELLS:,} values; log once an epoch")


def check_columns(names: Sequence[str]) -> None:
    """Raises Invalid for a table with too many columns."""
    if len(names) > MOST_COLUMNS:
        raise refusal(f"the history has {len(names):,} columns", f"at most {MOST_COLUMNS:,} columns")


def limited(rows: Sequence[Cells]) -> Sequence[Cells]:
    """The rows. Raises Invalid if there are too many, or too many cells in all of them."""
    check_size(len(rows), sum(map(len, rows)))
    return rows


def pivoted(rows: Sequence[Row], key: str, value: str) -> list[dict[str, Any]]:
    """Rows of one measure each as rows of one moment each: rows that agree in all but `key` and `value` are joined."""
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        rest = {name: cell for name, cell in row.items() if name not in (key, value)}
        at = tuple((name, str(cell)) for name, cell in rest.items())
        joined.setdefault(at, rest)[str(row.get(key))] = row.get(value)
    return list(joined.values())
