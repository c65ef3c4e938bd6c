"""The points on a chart have the numbers of the summary."""

import pytest

from service.core.diagnosis import diagnose
from service.core.diagnosis.named_points import named_points
from service.core.records.epoch import Epoch


def epoch(number: int, train: float, val: float) -> Epoch:
    return Epoch(number, train, train, val, 0.5, 0.5, 0.0, 1e-3, 0.1, 10.0, number == 5, 0)


def run(epochs: int) -> list[Epoch]:
    """Training loss falls all the time; validation loss falls until epoch 5, then rises."""
    return [epoch(n, 2.0 / (n + 1), 1.0 + 0.07 * abs(n - 5) + 0.004 * (n % 3)) for n in range(1, epochs + 1)]


def test_marks_have_the_numbers_and_epochs_of_the_summary() -> None:
    history = run(30)
    diagnosis = diagnose(history, stop_reason="epochs")
    points = named_points(history, diagnosis.summary, diagnosis.onset_epoch)
    assert {point.curve for point in points} == {"train_loss", "val_loss"}
    assert {point.epoch for point in points} == {diagnosis.onset_epoch, 30}
    assert len(points) == 4
    for point in points:
        assert point.text in diagnosis.summary
        assert point.value == pytest.approx(float(point.text), abs=0.001)


def test_a_summary_without_losses_has_no_marks() -> None:
    history = run(1)
    assert named_points(history, diagnose(history).summary, None) == ()
    assert named_points([], diagnose([]).summary, None) == ()
