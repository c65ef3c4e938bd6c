"""Loss curves as plain text, 80 columns wide."""

import threading
from collections.abc import Sequence

import plotext

from service.core.history import Epoch

WIDTH, HEIGHT = 80, 20
CURVES = {"train_loss": ".", "val_loss": "o"}

_drawing = threading.Lock()  # plotext has one figure a process


def draw(epochs: Sequence[Epoch], best: Epoch | None, title: str = "cross entropy per image") -> str:
    """Training and validation loss over the epochs, a vertical line at the best one; a short line without epochs."""
    if not epochs:
        return "no epochs yet\n"
    with _drawing:
        figure = plotext.figure
        figure.clear()
        figure.plot_size(WIDTH, HEIGHT)
        highest = 0.0
        for name, marker in CURVES.items():
            points = [(e.epoch, getattr(e, name)) for e in epochs if getattr(e, name) is not None]
            if points:
                x, y = map(list, zip(*points, strict=True))
                highest = max(highest, *y)
                figure.draw(figure.signal(x, y, marker=marker).lines().label(name))
        if best is not None:
            figure.line(best.epoch, "vertical", label=f"best: epoch {best.epoch}")
        figure.title(title)
        figure.label("epoch")
        figure.legend(x=epochs[-1].epoch, y=highest, ha="right", relative=True)
        return f"{plotext.uncolorize(str(figure.build()))}\n"
