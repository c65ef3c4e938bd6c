"""From the rows of a table to epochs: names, units, steps, runs, and what has to be passed over."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from service.core.diagnosis.histories.cells import number
from service.core.diagnosis.histories.names import CLEAN, NAMEABLE, assign
from service.core.diagnosis.histories.numbering import numbered
from service.core.diagnosis.histories.runs import chosen_run, joined_runs
from service.core.diagnosis.histories.table import Row, Table, check_columns, listed, refusal, shown, without_losses
from service.core.records.epoch import Epoch
from service.core.text import counted

LOSSES, ACCURACIES = ("train_loss", "val_loss"), ("train_accuracy", "val_accuracy")
AVERAGED = ("train_loss", "train_accuracy")  # within an epoch; of the others the last value counts
PERCENT = 100.0
TOLERANCE = 1e-6  # of an accuracy above 1

Measured = dict[str, float]  # the numbers of a row or an epoch, by measure


@dataclass(frozen=True)
class Reading:
    """What was read: `columns` maps measures to the names of their columns, `passed_over` says what was not used and
    `notes` what was assumed. A loss that is None was not measured if its epoch has no flag.
    """

    format: str
    columns: Mapping[str, str]
    epochs: tuple[Epoch, ...]
    passed_over: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def has(self, measure: str) -> bool:
        """Whether any epoch has the measure."""
        return measure in self.columns


def assemble(table: Table, given: Mapping[str, str], run: str | None) -> Reading:
    """The epochs of a table. Raises Invalid if it has no loss, or several runs of which none was chosen."""
    check_columns(table.columns)
    _check(given, table)
    chosen = assign(table.columns, given)
    if not table.columns:
        raise refusal("the rows are empty")
    if not set(LOSSES) & chosen.keys():
        raise without_losses(table.columns)
    notes, passed_over = list(table.notes), list[str]()
    rows = chosen_run(table.rows, chosen.get("run", ("",))[0], run)
    measured = [row for row in (_numbers(row, chosen) for row in rows) if row.keys() - {"epoch", "step", "lr"}]
    _scale(measured, chosen, notes)
    _check_losses(measured, chosen)
    epochs = _by_epoch(joined_runs(numbered(measured, notes), None if "run" in chosen else run, notes), notes)
    epochs = _judged(epochs, passed_over)
    columns = {measure: shown(column) for measure, (column, _) in chosen.items() if _is_used(measure, epochs, measured)}
    if unread := [name for name in table.columns if name not in [column for column, _ in chosen.values()]]:
        passed_over.append(f"columns that are not read: {listed(unread)}")
    return Reading(table.format, columns, tuple(_epochs(epochs)), tuple(passed_over), tuple(notes))


def _check(given: Mapping[str, str], table: Table) -> None:
    names = table.columns
    for measure, column in given.items():
        if measure not in NAMEABLE:
            raise refusal(f"{measure!r} is not a measure", f"one of {', '.join(NAMEABLE)}", "/columns")
        if column not in names:
            raise refusal(f"there is no column {column!r}", f"one of {listed(names)}", "/columns")


def _numbers(row: Row, chosen: Mapping[str, tuple[str, str]]) -> Measured:
    cells = {measure: number(row.get(column)) for measure, (column, _) in chosen.items() if measure != "run"}
    return {measure: value for measure, value in cells.items() if value is not None}


def _scale(rows: Sequence[Measured], chosen: Mapping[str, tuple[str, str]], notes: list[str]) -> None:
    """Make accuracies shares from 0 to 1; what cannot be one is removed."""
    for measure in ACCURACIES:
        values = [row[measure] for row in rows if math.isfinite(row.get(measure, math.nan))]
        if not values:
            continue
        column, kind = shown(chosen[measure][0]), chosen[measure][1]
        unit = 1.0 if max(values) <= 1 + TOLERANCE else PERCENT
        is_share = min(values) >= 0 and max(values) <= unit + TOLERANCE
        if not is_share:
            notes.append(f"{column} is not an accuracy: it ranges from {min(values):g} to {max(values):g}")
        elif unit == PERCENT:
            notes.append(f"{column} is in percent: divided by 100")
        if kind == "error":
            notes.append(f"{column} is a share of errors: subtracted from 1")
        for row in rows:
            value = row.pop(measure, math.nan)
            if is_share and math.isfinite(value):
                row[measure] = min(1.0, 1 - value / unit if kind == "error" else value / unit)


def _check_losses(rows: Sequence[Measured], chosen: Mapping[str, tuple[str, str]]) -> None:
    known = [measure for measure in LOSSES if any(measure in row for row in rows)]
    if not known:
        columns = [column for measure, (column, _) in chosen.items() if measure in LOSSES]
        raise refusal(f"the columns of losses contain no numbers: {listed(columns)}", "numbers, nan and inf")
    for measure in (*known, *CLEAN):
        lowest = min((row[measure] for row in rows if math.isfinite(row.get(measure, math.nan))), default=0.0)
        if lowest < 0:
            detail = (
                f"{shown(chosen[measure][0])} is negative ({lowest:g}), but a cross entropy or a standard error is not"
            )
            raise refusal(detail, "losses and standard errors from 0 up, in nats", "/columns")


def _by_epoch(rows: Sequence[Measured], notes: list[str]) -> list[Measured]:
    """One row for each epoch: the mean of training over its steps, and the last value of anything else."""
    by_epoch: dict[int, list[Measured]] = {}
    for row in rows:
        by_epoch.setdefault(int(row["epoch"]), []).append(row)
    most = max(Counter(int(row["epoch"]) for row in rows if "train_loss" in row).values(), default=0)
    if most > 1:
        notes.append(f"training measures are means over the steps of an epoch, up to {most:,}")
    return [_combined(by_epoch[epoch]) for epoch in sorted(by_epoch)]


def _combined(rows: Sequence[Measured]) -> Measured:
    whole: Measured = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        odd = [value for value in values if not math.isfinite(value)]
        whole[name] = values[-1] if name not in AVERAGED else odd[0] if odd else fmean(values)
    return whole


def _judged(epochs: Sequence[Measured], passed_over: list[str]) -> list[Measured]:
    """The epochs with all losses that the run measures, or with one that is not finite."""
    known = [measure for measure in LOSSES if any(measure in epoch for epoch in epochs)]
    is_whole = [all(measure in epoch for measure in known) for epoch in epochs]
    if not any(is_whole):  # the losses were never measured in one epoch: that of validation tells more
        return _judged([{k: v for k, v in epoch.items() if k != "train_loss"} for epoch in epochs], passed_over)
    is_broken = [any(not math.isfinite(epoch.get(measure, 0.0)) for measure in known) for epoch in epochs]
    kept = [epoch for epoch, whole, broken in zip(epochs, is_whole, is_broken, strict=True) if whole or broken]
    for measure, words in zip(LOSSES, ("training", "validation"), strict=True):
        without = sum(1 for epoch in epochs if measure in known and measure not in epoch)
        if without:
            passed_over.append(f"{counted(without, 'epoch')} without a {words} loss")
    return kept


def _is_used(measure: str, epochs: Sequence[Measured], rows: Sequence[Measured]) -> bool:
    return measure == "run" or any(measure in row for row in (rows if measure in ("epoch", "step") else epochs))


def _epochs(measured: Sequence[Measured]) -> list[Epoch]:
    """The records of epochs, with the best one so far by the validation loss (without one, by the training loss)."""
    monitor = "val_loss" if any("val_loss" in epoch for epoch in measured) else "train_loss"
    best, since, epochs = math.inf, 0, []
    for whole in measured:
        value = whole.get(monitor, math.nan)
        improved = value < best
        best, since = (value, 0) if improved else (best, since + 1)
        names = (*LOSSES, *ACCURACIES)
        known: dict[str, float | None] = {name: whole.get(name) for name in (*names, *CLEAN)}
        values = {"train_loss_clean": None, "penalty": None, **known, "lr": whole.get("lr", 0.0)}
        own = {"seconds": 0.0, "images_per_second": 0.0, "improved": improved, "epochs_without_improvement": since}
        epochs.append(Epoch.measured({"epoch": int(whole["epoch"]), **values, **own}))
    return epochs
