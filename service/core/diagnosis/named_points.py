"""The points of the curves whose numbers a summary names, for marks on a chart."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.core.diagnosis.curves import Curve
from service.core.diagnosis.thresholds import DEFAULT
from service.core.diagnosis.view import RunView
from service.core.records.epoch import Epoch

NUMBER = re.compile(r"\d+\.\d+")
DIGITS = (3, 4, 5)  # that a loss has in a summary


@dataclass(frozen=True)
class NamedPoint:
    """A loss in nats at an epoch, as the text of the summary has it. `curve` is train_loss or val_loss.

    Most are levels: medians over neighbouring epochs, which lie near the curve and seldom on it.
    """

    epoch: int
    curve: str
    value: float
    text: str


def named_points(history: Sequence[Epoch], summary: str, onset: int | None) -> tuple[NamedPoint, ...]:
    """The points of a run that the summary of its diagnosis names, without repeats. `onset` is its epoch, if any."""
    curve = Curve.of(history)
    if not len(curve):
        return ()
    named = set(NUMBER.findall(summary))
    points: dict[tuple[str, str], NamedPoint] = {}
    for epoch, name, value in _candidates(curve, onset):
        for text in named.intersection(f"{value:.{digits}f}" for digits in DIGITS):
            points.setdefault((name, text), NamedPoint(epoch, name, value, text))
    return tuple(points.values())


def _candidates(curve: Curve, onset: int | None) -> Iterator[tuple[int, str, float]]:
    """(epoch, curve, loss) of what summaries are about: the end, the onset, and the extremes."""
    last = curve.epochs[-1]
    if curve.has_val:
        yield last, "val_loss", RunView(curve, None, 1.0, None, DEFAULT).end
    if curve.has_train:
        yield last, "train_loss", curve.level(curve.fit)
        yield last, "train_loss", curve.level(curve.train)
    if onset in curve.epochs:
        at = curve.epochs.index(onset)
        if curve.has_val:
            yield onset, "val_loss", curve.smooth_val[at]
        if curve.has_train:
            yield onset, "train_loss", curve.level(curve.fit, at)
            yield onset, "train_loss", curve.level(curve.train, at)
    if curve.has_val:
        yield curve.epochs[curve.lowest], "val_loss", curve.val[curve.lowest]
    if curve.has_train:
        yield curve.epochs[curve.train.index(max(curve.train))], "train_loss", max(curve.train)
        yield curve.epochs[curve.fit.index(min(curve.fit))], "train_loss", min(curve.fit)
