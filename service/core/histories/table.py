"""What a reader makes of a file: rows of named cells. And the file, decoded and parsed once for all readers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from service.core.errors import Fault, Invalid

MOST_BYTES = 16 << 20
MOST_ROWS = 100_000
SHOWN = 20  # columns in a message
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
EXPECTED = (
    "a history with a column of losses: Keras (History.history, CSVLogger), Lightning metrics.csv, Hugging Face "
    "trainer_state.json, Ultralytics results.csv, timm summary.csv, fastai, skorch, TensorBoard, MLflow, Weights & "
    "Biases, any CSV, TSV, JSON or JSON lines with named columns, or a log with lines such as "
    "`Epoch 3/50, train loss: 0.41, val loss: 0.52`"
)

Row = Mapping[str, Any]


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
            raise refusal("the file is binary and no event file of TensorBoard")
        for mark, encoding in ((UTF16[0], "utf-16"), (UTF16[1], "utf-16"), (b"", "utf-8-sig")):
            if self.data.startswith(mark):
                try:
                    text = self.data.decode(encoding)
                except UnicodeDecodeError:
                    break
                return text.replace("\r\n", "\n")
        return self.data.decode("latin-1").replace("\r\n", "\n")

    @cached_property
    def document(self) -> Any:
        """The value of the file if it is one JSON text, else None. NaN and Infinity are read as Python writes them."""
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


Reader = Callable[[Source], Table | None]


def refusal(detail: str, allowed: str = EXPECTED, pointer: str = "") -> Invalid:
    """The error for a file that is no history; `pointer` is the parameter that is wrong."""
    return Invalid([Fault(pointer, detail, allowed)])


def without_losses(columns: Sequence[str]) -> Invalid:
    """The error for a table with these columns, at least one, none of which holds losses."""
    names = ", ".join(columns[:SHOWN])
    allowed = f"names such as loss and val_loss, or columns=val_loss:{columns[-1]} with one of these columns"
    return refusal(f"no column has the name of a loss; the columns are: {names}", allowed, "/columns")


def limited(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows. Raises Invalid if there are more than MOST_ROWS."""
    if len(rows) > MOST_ROWS:
        raise refusal(f"the history has {len(rows):,} rows", f"at most {MOST_ROWS:,} rows; log once an epoch")
    return rows


def pivoted(rows: Sequence[Row], key: str, value: str) -> list[dict[str, Any]]:
    """Rows of one measure each as rows of one moment each: rows that agree in all but `key` and `value` are joined."""
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        rest = {name: cell for name, cell in row.items() if name not in (key, value)}
        at = tuple((name, str(cell)) for name, cell in rest.items())
        joined.setdefault(at, rest)[str(row.get(key))] = row.get(value)
    return list(joined.values())
