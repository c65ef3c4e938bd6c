"""The bounds of the time that a running job may take."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from service.core.records.epoch import Epoch
from service.core.records.job import Status
from service.core.spec import JobSpec
from service.web.time_left import time_left
from tests.service.web.pages import epoch


def running(**spec: Any) -> Any:
    """A running job, as far as its time goes."""
    given = JobSpec.from_dict({"dataset": {"id": "digits"}, "epochs": 100, **spec})
    return SimpleNamespace(spec=given, status=Status.RUNNING, started_at=None)


def run(count: int, waiting: int = 0) -> list[Epoch]:
    """Epochs of two seconds each, the last `waiting` of them without an improvement."""
    return [replace(epoch(n), seconds=2.0, epochs_without_improvement=waiting) for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("spec", "waiting", "at_most", "at_least"),
    [
        ({"early_stopping": None}, 0, 180.0, None),
        ({"early_stopping": None, "max_seconds": 75}, 0, 55.0, None),
        ({"early_stopping": None, "max_seconds": 10}, 0, 0.0, None),
        ({"early_stopping": {"patience": 10}}, 3, 180.0, 14.0),
        ({"early_stopping": {"patience": 10}, "max_seconds": 30}, 0, 10.0, None),
    ],
)
def test_time_left_knows_limit_and_patience(
    spec: dict[str, Any], waiting: int, at_most: float, at_least: float | None
) -> None:
    left = time_left(running(**spec), run(10, waiting))
    assert (left.epoch, left.at_most, left.at_least) == (10, at_most, at_least)


def test_time_left_is_unknown_before_the_first_epoch() -> None:
    assert time_left(running(), []).at_most is None
