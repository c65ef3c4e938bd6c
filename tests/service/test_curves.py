import pytest

from service.core.history import Epoch
from service.curves import draw


def history(epochs: int) -> list[Epoch]:
    return [
        Epoch(i, 2 / i, None, 1 / i if i != 3 else None, 0.5, 0.5, 0.0, 0.1, 1.0, 1.0, True, 0)
        for i in range(1, epochs + 1)
    ]  # fmt: skip


@pytest.mark.parametrize("epochs", [1, 2, 5, 2000])
def test_any_history_fits_80_columns(epochs: int) -> None:
    drawn = draw(history(epochs), None)
    assert max(map(len, drawn.splitlines())) == 80


def test_both_curves_and_the_best_epoch_are_named() -> None:
    epochs = history(12)
    drawn = draw(epochs, epochs[6], title="a title")
    assert all(word in drawn for word in ("a title", ". train_loss", "o val_loss", "best: epoch 7", "epoch"))


def test_without_epochs_there_is_nothing_to_draw() -> None:
    assert draw([], None) == "no epochs yet\n"
