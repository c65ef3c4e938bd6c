from dataclasses import replace

import pytest

from service.core.records.epoch import Epoch
from service.rendering.curves_text import draw


def history(epochs: int) -> list[Epoch]:
    return [
        Epoch(i, 2 / i, None, 1 / i if i != 3 else None, 0.5, 0.5, 0.0, 0.1, 1.0, 1.0, True, 0)
        for i in range(1, epochs + 1)
    ]


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


def test_clean_loss_onset_and_best_epoch_have_own_marks() -> None:
    epochs = [replace(e, train_loss_clean=1.5 / e.epoch) for e in history(40)]
    drawn = draw(epochs, epochs[29], onset=20)
    assert all(word in drawn for word in ("+ train_loss_clean", "│ best: epoch 30", ": onset: epoch 20"))
    assert max(map(len, drawn.splitlines())) == 80
    rows = [row for row in drawn.splitlines() if "┤" in row or "│" in row]
    assert sum(":" in row for row in rows) > 10


def test_an_onset_before_what_is_drawn_is_left_out() -> None:
    epochs = history(40)
    assert "onset" not in draw(epochs[20:], epochs[29], onset=20)
