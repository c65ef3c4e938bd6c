import math
from typing import Any

import pytest

from service.core.records.epoch import Epoch

FINITE: dict[str, Any] = {
    "epoch": 1, "train_loss": 1.0, "train_loss_clean": None, "val_loss": 1.0, "train_accuracy": 0.5,
    "val_accuracy": 0.5, "penalty": 0.0, "lr": 0.1, "seconds": 1.0, "images_per_second": 1.0, "improved": True,
    "epochs_without_improvement": 0,
}  # fmt: skip


def test_finite_numbers_are_kept_without_a_flag() -> None:
    assert Epoch.measured(FINITE) == Epoch(**FINITE, flag=None)


@pytest.mark.parametrize(
    ("odd", "flag"),
    [
        ({"train_loss": math.nan}, "nan"),
        ({"val_loss": -math.inf}, "inf"),
        ({"train_loss": math.inf, "val_loss": math.nan}, "nan"),
    ],
)
def test_what_is_not_finite_is_null_and_flagged(odd: dict[str, float], flag: str) -> None:
    epoch = Epoch.measured(FINITE | odd)
    assert epoch.flag == flag
    assert all(getattr(epoch, name) is None for name in odd)
    assert epoch.lr == 0.1
