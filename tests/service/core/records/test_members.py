"""Facts as workers write them: those of later releases are read, and those of jobs that failed are not believed."""

from typing import Any

from service.core.records.facts import Facts
from service.core.records.job import Status, kept_average

AVERAGE = {
    "tried": [3, 2],
    "epochs": [3, 2],
    "val_loss": 0.1,
    "val_loss_se": 0.01,
    "val_accuracy": 0.9,
    "val_macro_f1": 0.9,
    "val_balanced_accuracy": 0.9,
    "val_worst_recall": 0.8,
    "val_loss_calibrated": 0.1,
}
FACTS: dict[str, Any] = {
    "images": {"train": 80, "validation": 20, "test": 0},
    "trivial_loss": 2.3,
    "trivial_accuracy": 0.1,
    "copies_across": 0,
    "average": AVERAGE,
}


def test_members_of_a_later_release_are_left_out() -> None:
    later = {**FACTS, "weather": "mild", "average": {**AVERAGE, "val_top_five": 0.99}}
    assert Facts.from_dict(later) == Facts.from_dict(FACTS)


def test_only_a_job_that_succeeded_has_the_average_as_its_model() -> None:
    average = Facts.from_dict(FACTS).average
    assert kept_average(Status.SUCCEEDED, average) == average
    assert kept_average(Status.FAILED, average) is None
    assert (
        kept_average(Status.SUCCEEDED, Facts.from_dict({**FACTS, "average": {**AVERAGE, "epochs": [3]}}).average)
        is None
    )
