"""One epoch of a run as it is recorded: finite numbers, or null with a flag that says what it was."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """Losses are mean cross entropy per image (nats); accuracies are shares from 0 to 1.

    `val_loss_se` is the standard error of val_loss, `val_change_se` that of its difference from the best epoch before,
    image by image; `joules` is the energy the device took. None where they were not measured.
    """

    epoch: int
    train_loss: float | None
    train_loss_clean: float | None
    val_loss: float | None
    train_accuracy: float | None
    val_accuracy: float | None
    penalty: float | None
    lr: float
    seconds: float
    images_per_second: float
    improved: bool
    epochs_without_improvement: int
    flag: str | None = None
    val_loss_se: float | None = None
    val_change_se: float | None = None
    joules: float | None = None

    @classmethod
    def measured(cls, values: Mapping[str, Any]) -> "Epoch":
        """From raw measurements: non-finite numbers become None, and `flag` is `nan` or `inf` (`nan` wins)."""
        odd = [v for v in values.values() if isinstance(v, float) and not math.isfinite(v)]
        flag = ("nan" if any(math.isnan(v) for v in odd) else "inf") if odd else None
        finite: dict[str, Any] = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()
        }
        return cls(**finite, flag=flag)


COLUMNS = tuple(f.name for f in fields(Epoch))
