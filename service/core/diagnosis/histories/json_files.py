"""Histories in JSON: rows, columns, JSON lines, and the files of frameworks that have these shapes."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.core.diagnosis.histories.table import MOST_ROWS, Row, Source, Table, limited, listed, refusal, shown

MEMBERS = ("log_history", "history", "epochs", "data", "metrics", "rows", "log")  # under which files keep their rows
TRAINING_TOTAL = "train_runtime"  # in the last row of Hugging Face: means over the whole run


def read(source: Source) -> Table | None:
    """One JSON text, or JSON lines."""
    document = source.document
    if document is None:
        return _lines(source)
    table = _document(document)
    if table is None:
        raise refusal("the JSON has neither rows nor columns of numbers" + _names(document))
    return table


def _document(document: Any) -> Table | None:
    if isinstance(document, list):
        return _rows(document)
    for member in MEMBERS:
        inner = document.get(member)
        if inner == []:
            raise refusal(f"{member} is empty", "at least one epoch with a loss", f"/{member}")
        if isinstance(inner, list) and inner and all(isinstance(row, dict) for row in inner):
            return _rows(inner, member)
        if isinstance(inner, dict) and (table := _columns(inner)):
            return table
    return _columns(document)


def _rows(rows: Sequence[Any], member: str = "") -> Table | None:
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    if member == "log_history":
        return Table("Hugging Face trainer_state.json", [row for row in limited(rows) if TRAINING_TOTAL not in row])
    names = set().union(*rows[:10])
    if {"batches", "dur"} <= names:
        return Table("skorch history", [_without_lists(row) for row in limited(rows)])
    if {"improved", "epochs_without_improvement"} <= names:
        return Table("Rightfit history", limited([_flagged(row) for row in rows]))
    return Table("Weights & Biases history" if "_step" in names else "rows in JSON", limited(rows))


def _flagged(row: Row) -> Row:
    """A row of this service: a number that was not finite is null beside the flag."""
    odd = {"nan": math.nan, "inf": math.inf}.get(str(row.get("flag")))
    losses = {name: odd for name in ("train_loss", "val_loss") if odd is not None and row.get(name) is None}
    return {**row, **losses}


def _without_lists(row: Row) -> Row:
    return {name: cell for name, cell in row.items() if not isinstance(cell, list | dict)}


def _columns(document: Mapping[str, Any]) -> Table | None:
    """Columns as lists (Keras), or as objects from row to value (pandas)."""
    columns = {name: _cells(cells) for name, cells in document.items() if isinstance(cells, list | dict) and cells}
    columns = {name: cells for name, cells in columns.items() if cells and _is_flat(cells)}
    if not columns:
        return None
    longest = max(map(len, columns.values()))
    if longest > MOST_ROWS:
        limited([{}] * longest)
    notes: list[str] = []
    rows: list[dict[str, Any]] = [{} for _ in range(longest)]
    for name, cells in columns.items():
        every, rest = divmod(longest, len(cells))
        if rest and len(cells) < longest - 1:
            detail = f"{shown(name)} has {len(cells)} values where the longest column has {longest}"
            raise refusal(detail, "columns of equal length, or one value for every k-th epoch")
        if every > 1:
            notes.append(f"{shown(name)} has a value every {every} epochs")
        for at, cell in enumerate(cells, start=1):
            rows[at * every - 1][name] = math.nan if cell is None else cell  # strict JSON writes NaN as null
    return Table("Keras History.history" if "loss" in columns else "columns in JSON", rows, tuple(notes))


def _cells(cells: Any) -> list[Any]:
    return list(cells.values()) if isinstance(cells, dict) else list(cells)


def _is_flat(cells: Sequence[Any]) -> bool:
    return not any(isinstance(cell, list | dict) for cell in cells)


def _lines(source: Source) -> Table | None:
    if not source.text.lstrip().startswith("{"):
        return None
    lines = source.lines
    rows = []
    for at, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if at == 1:
                raise refusal(f"the JSON cannot be read: {error}") from error
            if at == len(lines):
                break  # the run was ended while it wrote this line
            raise refusal(f"line {at} is not valid JSON: {error}") from error
        if isinstance(row, dict):
            rows.append(row)
    is_wandb = any("_step" in row for row in rows)
    return Table("Weights & Biases history" if is_wandb else "JSON lines", limited(rows))


def _names(document: Any) -> str:
    if not isinstance(document, dict) or not document:
        return ""
    return f"; its members are {listed(list(document))}"
