"""Loss curves as paths of an SVG."""

import re

from service.core.diagnosis.histories import read
from service.rendering.curves_svg import HEIGHT, WIDTH, Drawing, draw


def drawn(rows: str) -> Drawing:
    return draw(read(f"epoch,train_loss,val_loss\n{rows}".encode()).epochs)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_higher_losses_are_drawn_higher() -> None:
    drawing = drawn("1,2,1.5\n2,1,1.2\n3,0.5,1.4\n")
    training, validation = drawing.lines
    assert (training.label, validation.label) == ("training", "validation")
    heights = [y for _, y in points(training.path)]
    assert heights == sorted(heights)
    assert all(0 < x <= WIDTH and 0 < y < HEIGHT for line in drawing.lines for x, y in points(line.path))
    assert [tick.label for tick in drawing.epochs] == ["1", "2", "3"]
    assert [drawing.losses[0].label, drawing.losses[-1].label] == ["0", "2"]


def test_loss_that_is_not_finite_leaves_a_gap() -> None:
    (training, validation) = drawn("1,2,1\n2,nan,1\n3,1,1\n").lines
    assert (training.path.count("M"), validation.path.count("M")) == (2, 1)


def test_explosion_ends_at_the_upper_edge() -> None:
    drawing = drawn("1,1,1\n2,1,1\n3,1,1\n4,1e9,1\n")
    assert drawing.losses[-1].label == "10"
    assert min(y for _, y in points(drawing.lines[0].path)) == drawing.losses[-1].at


def test_single_epoch_and_nothing_finite_are_drawn() -> None:
    assert len(drawn("1,2,1\n").lines) == 2
    assert drawn("1,nan,nan\n").lines == ()
