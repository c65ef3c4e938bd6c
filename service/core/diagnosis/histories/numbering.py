"""The epoch of each row: as the file counts it, or by its validations where it has none."""

import math
from collections.abc import Sequence

from service.core.diagnosis.histories.table import refusal

TOLERANCE = 1e-6  # of an epoch that is a fraction
MOST_EPOCHS = 10**9

Measured = dict[str, float]  # the numbers of a row, by measure


def numbered(rows: Sequence[Measured], notes: list[str]) -> list[Measured]:
    """Rows that all have an epoch, counted from 1. Raises Invalid for an epoch that is negative or too large."""
    if not any(math.isfinite(row.get("epoch", math.nan)) for row in rows):
        return _by_validation(rows, notes)
    numbers = [row["epoch"] for row in rows if math.isfinite(row.get("epoch", math.nan))]
    if min(numbers) < 0 or max(numbers) > MOST_EPOCHS:
        at = min(numbers) if min(numbers) < 0 else max(numbers)
        raise refusal(f"there is an epoch {at:g}", f"epochs from 0 to {MOST_EPOCHS:,}", "/columns")
    is_whole = all(value == int(value) for value in numbers)
    first = 1 if is_whole and min(numbers) == 0 else 0
    with_epochs: list[Measured] = []
    latest = numbers[0]
    for row in rows:
        at = row.get("epoch", math.nan)
        latest = at if math.isfinite(at) else latest
        epoch = int(latest) + first if is_whole else max(1, math.ceil(latest - TOLERANCE))
        with_epochs.append(row | {"epoch": epoch})
    if first:
        notes.append("epochs are counted from 0 in the file, and from 1 here")
    if not is_whole:
        notes.append("measures at fractions of an epoch count for the epoch that they are in")
    return with_epochs


def _by_validation(rows: Sequence[Measured], notes: list[str]) -> list[Measured]:
    """Rows without epochs: each row with a validation loss ends one, or each row is one."""
    has_both = sum(1 for row in rows if {"train_loss", "val_loss"} <= row.keys())
    ends = [("val_loss" in row) or ("val_accuracy" in row) for row in rows]
    if "step" not in (rows[0] if rows else {}) and (has_both or all(ends) or not any(ends)):
        ends = [True] * len(rows)
        notes.append("the rows have no epochs: each row counts as one")
    elif any(ends):
        notes.append("the rows have steps and no epochs: each validation ends one")
    else:
        ends = [True] * len(rows)
        notes.append("the rows have steps, no epochs and no validation: each row counts as an epoch")
    with_epochs: list[Measured] = []
    epoch = 1
    for row, is_end in zip(rows, ends, strict=True):
        with_epochs.append(row | {"epoch": epoch})
        epoch += is_end
    return with_epochs
