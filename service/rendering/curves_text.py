"""Loss curves as plain text, 80 columns wide."""

import threading
from collections.abc import Sequence

import plotext

from service.core.records.epoch import Epoch

WIDTH, HEIGHT = 80, 20
CURVES = {"train_loss": ".", "train_loss_clean": "+", "val_loss": "o"}
BEST, ONSET = "│", ":"  # characters of their vertical lines

_drawing = threading.Lock()  # plotext has one figure per process


def draw(
    epochs: Sequence[Epoch], best: Epoch | None, title: str = "cross entropy per image", onset: int | None = None
) -> str:
    """Draw the losses by epoch, with vertical lines at the best epoch and at the onset, and a legend below.

    Without epochs the result is one short line.
    """
    if not epochs:
        return "no epochs yet\n"
    onset = onset if onset and onset >= epochs[0].epoch else None
    with _drawing:
        figure = plotext.figure
        figure.clear()
        figure.plot_size(WIDTH, HEIGHT)
        drawn = {}
        for name, marker in CURVES.items():
            points = [(e.epoch, getattr(e, name)) for e in epochs if getattr(e, name) is not None]
            if points:
                x, y = map(list, zip(*points, strict=True))
                drawn[name] = y
                figure.draw(figure.signal(x, y, marker=marker).lines())
        ends = [edge(map(edge, drawn.values())) for edge in (min, max)] if drawn else []
        if best is not None:
            figure.line(best.epoch, "vertical")
        if onset and ends:
            figure.draw(figure.signal([onset, onset], ends, marker=ONSET).lines())
        figure.title(title)
        figure.label("epoch")
        picture = plotext.uncolorize(str(figure.build())).rstrip("\n")
    curves = [f"{CURVES[name]} {name}" for name in drawn]
    marks = [f"{BEST} best: epoch {best.epoch}"] if best else []
    marks += [f"{ONSET} onset: epoch {onset}"] if onset else []
    return "\n".join([picture, *("   ".join(names).center(WIDTH).rstrip() for names in (curves, marks) if names), ""])
