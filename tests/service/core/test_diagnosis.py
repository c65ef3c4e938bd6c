from collections.abc import Sequence

from service.core import diagnosis
from service.core.history import Epoch


def in_words(epochs: Sequence[Epoch]) -> str:
    return diagnosis.in_words(epochs, min(epochs, key=lambda e: e.val_loss or 0.0))


def history(train: Sequence[float], val: Sequence[float]) -> list[Epoch]:
    return [
        Epoch(i, t, t, v, 0.5, 0.5, 0.0, 0.1, 1.0, 1.0, improved=False, epochs_without_improvement=0)
        for i, (t, v) in enumerate(zip(train, val, strict=True), start=1)
    ]


def test_rising_validation_loss_under_falling_training_loss_is_overfitting() -> None:
    words = in_words(history([1 / i for i in range(1, 21)], [0.5 + abs(i - 8) / 20 for i in range(1, 21)]))
    assert "After epoch 8" in words
    assert "overfitting" in words


def test_flat_validation_loss_under_falling_training_loss_is_said_to_be_flat() -> None:
    words = in_words(history([1 / i for i in range(1, 21)], [0.7, 0.6, 0.5] + [0.501] * 17))
    assert "stayed at about 0.500" in words
    assert "overfitting" not in words


def test_two_falling_curves_show_no_turn() -> None:
    falling = [1 / i for i in range(1, 21)]
    assert "no sign that it had turned" in in_words(history(falling, falling))


def test_a_few_epochs_are_too_few() -> None:
    assert "too few" in in_words(history([1, 0.5], [1, 0.6]))
