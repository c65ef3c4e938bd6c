import math
from dataclasses import fields
from typing import Any

import pytest

from service.core.records.epoch import COLUMNS, MEASURES, Epoch
from service.core.sql.tables import epochs
from service.schemas.epochs import EpochSchema

FINITE: dict[str, Any] = {
    "epoch": 1,
    "train_loss": 1.0,
    "train_loss_clean": None,
    "val_loss": 1.0,
    "train_accuracy": 0.5,
    "val_accuracy": 0.5,
    "penalty": 0.0,
    "lr": 0.1,
    "seconds": 1.0,
    "images_per_second": 1.0,
    "improved": True,
    "epochs_without_improvement": 0,
}


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
def test_non_finite_numbers_become_null_with_a_flag(odd: dict[str, float], flag: str) -> None:
    epoch = Epoch.measured(FINITE | odd)
    assert epoch.flag == flag
    assert all(getattr(epoch, name) is None for name in odd)
    assert epoch.lr == 0.1


def test_every_measure_is_a_column_and_a_described_json_field() -> None:
    names = {each.name for each in fields(Epoch)}
    assert set(epochs.columns.keys()) == names | {"job_id", "attempt"}
    described = EpochSchema().fields
    assert set(described) == names
    for measure in MEASURES:
        assert measure.meaning == described[measure.name].metadata["description"]
        assert measure.is_nullable == epochs.c[measure.name].nullable == described[measure.name].allow_none


def test_columns_of_a_csv_keep_their_places() -> None:
    older = "train_loss train_loss_clean val_loss train_accuracy val_accuracy penalty lr seconds images_per_second"
    rest = "improved epochs_without_improvement flag val_loss_se val_change_se joules"
    assert COLUMNS[:16] == ("epoch", *older.split(), *rest.split())
