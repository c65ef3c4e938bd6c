"""Loss curves as paths of an SVG that a page draws in its own colours, for browsers without scripts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.records.epoch import Epoch

WIDTH, HEIGHT = 640, 300  # of the drawing, in units of the SVG
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 12, 28  # its margins
CURVES = {
    "train_loss": ("training", 1, "8 4"),
    "train_loss_clean": ("clean training", 2, "10 3 2 3"),
    "val_loss": ("validation", 3, "none"),
}
TICKS = 4  # intervals of the vertical axis
EXPLODED = 10.0  # a higher loss is outside: this many times the median of all losses


@dataclass(frozen=True)
class Line:
    """A curve: its name, the number of its colour in the style sheet, its dashes, and the attribute `d` of its path."""

    label: str
    colour: int
    dashes: str
    path: str


@dataclass(frozen=True)
class Tick:
    """A label of an axis and its place along it."""

    at: float
    label: str


@dataclass(frozen=True)
class Drawing:
    """The curves of a run in a frame of WIDTH x HEIGHT, with the labels of its axes."""

    lines: tuple[Line, ...]
    epochs: tuple[Tick, ...]
    losses: tuple[Tick, ...]


def draw(epochs: Sequence[Epoch]) -> Drawing:
    """The losses by epoch. A loss that is not finite leaves a gap; one that has exploded ends at the upper edge."""
    known = {name: [getattr(epoch, name) for epoch in epochs] for name in CURVES}
    finite = sorted(value for values in known.values() for value in values if value is not None)
    high = min(finite[-1], EXPLODED * finite[len(finite) // 2]) if finite else 0.0
    high = high or 1.0
    first, last = epochs[0].epoch, epochs[-1].epoch

    def x(epoch: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - first) / max(1, last - first)

    def y(loss: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(loss, high) / high)

    places = [x(epoch.epoch) for epoch in epochs]
    lines = tuple(
        Line(*CURVES[name], _path(places, [None if value is None else y(value) for value in values]))
        for name, values in known.items()
        if any(value is not None for value in values)
    )
    middle = (first + last) // 2
    numbers = sorted({first, middle, last})
    losses = tuple(Tick(y(high * at / TICKS), f"{high * at / TICKS:.3g}") for at in range(TICKS + 1))
    return Drawing(lines, tuple(Tick(x(number), str(number)) for number in numbers), losses)


def _path(across: Sequence[float], down: Sequence[float | None]) -> str:
    """A path through the points; it starts again after each gap, and a single point is a short line."""
    steps, is_drawn = [], False
    for x, y in zip(across, down, strict=True):
        if y is not None and not math.isnan(y):
            steps.append(f"{'L' if is_drawn else 'M'}{x:.1f} {y:.1f}{'' if is_drawn else 'h.1'}")
        is_drawn = y is not None
    return "".join(steps)
