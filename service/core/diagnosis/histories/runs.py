"""Several runs in one file: one is chosen by name or number, and a resumed run is joined where it goes on."""

import math
from collections.abc import Iterable, Sequence

from service.core.diagnosis.histories.table import Row, listed, refusal
from service.core.text import counted

SHOWN = 10  # runs in a message
MOST_PARTS = 100  # of a run that was resumed
COUNTERS = frozenset(("epoch", "step", "lr"))

Measured = dict[str, float]


def chosen_run(rows: Sequence[Row], column: str, run: str | None) -> Sequence[Row]:
    """The rows of one run, by the column that names runs. Raises Invalid if there are several and none is chosen."""
    names = list(dict.fromkeys(str(row.get(column)) for row in rows)) if column else []
    if len(names) < 2 and (run is None or not column):  # noqa: PLR2004 - one run is no choice
        return rows
    allowed = f"run= with one of {listed(names, SHOWN)}"
    if run is None:
        raise refusal(f"the file has {len(names)} runs", allowed, "/run")
    if run not in names:
        raise refusal(f"there is no run {run!r}", allowed, "/run")
    return [row for row in rows if str(row.get(column)) == run]


def joined_runs(rows: Sequence[Measured], run: str | None, notes: list[str]) -> list[Measured]:
    """Rows whose epochs only grow. Where they start again, the run was resumed, or another one begins.

    Raises Invalid if neither is certain, unless `run` is the number of a run.
    """
    parts = _parts(rows)
    if run is not None and parts:
        if not run.isdecimal() or not 1 <= int(run) <= len(parts):
            raise refusal(f"there is no run {run!r}", f"run= with a number from 1 to {len(parts)}", "/run")
        return list(parts[int(run) - 1])
    if len(parts) > MOST_PARTS:
        detail = f"epochs start again {len(parts) - 1:,} times"
        raise refusal(detail, f"one run, resumed less than {MOST_PARTS} times, or run= with 1 to {len(parts)}", "/run")
    whole = list(parts[0]) if parts else []
    for at, part in enumerate(parts[1:], start=2):
        last, first = int(whole[-1]["epoch"]), int(part[0]["epoch"])
        if first > 1 and first > int(whole[0]["epoch"]):
            whole = [row for row in whole if row["epoch"] < first] + list(part)
            notes.append(f"the run was resumed at epoch {first}: its later epochs up to {last} do not count")
        elif _goes_on(whole, part):
            shift = last + 1 - first
            whole += [{**row, "epoch": row["epoch"] + shift} for row in part]
            notes.append(f"epochs start again after epoch {last} and the loss continues: they are numbered on")
        else:
            detail = f"the file has {len(parts)} runs: epochs start again after {counted(last, 'epoch')}"
            raise refusal(f"{detail}, at run {at}", f"run= with a number from 1 to {len(parts)}", "/run")
    return whole


def _parts(rows: Sequence[Measured]) -> list[list[Measured]]:
    """Rows with growing epochs. Parts with other measures are of one run: training first, then validation."""
    parts: list[list[Measured]] = []
    for row in rows:
        if parts and row["epoch"] >= parts[-1][-1]["epoch"]:
            parts[-1].append(row)
        else:
            parts.append([row])
    merged: list[list[Measured]] = []
    for part in parts:
        if merged and not _measures(merged[-1]) & _measures(part):
            merged[-1] = sorted([*merged[-1], *part], key=lambda row: row["epoch"])
        else:
            merged.append(part)
    return merged


def _measures(rows: Sequence[Measured]) -> set[str]:
    return {name for row in rows for name in row} - COUNTERS


def _goes_on(before: Sequence[Measured], after: Sequence[Measured]) -> bool:
    """Whether the first training loss after is nearer to the last one before than to the first one before."""
    name = "train_loss" if any("train_loss" in row for row in before) else "val_loss"
    first, last, new = _first(before, name), _first(reversed(before), name), _first(after, name)
    return abs(new - last) < abs(new - first) / 2


def _first(rows: Iterable[Measured], name: str) -> float:
    """The first finite value of a measure; nan if there is none."""
    return next((row[name] for row in rows if math.isfinite(row.get(name, math.nan))), math.nan)
