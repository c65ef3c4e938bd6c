"""The pictures of the pages on verdicts, each of a real run that shows it: `python -m tests.golden.pictures`."""

import io
import json
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from service.core.diagnosis import Verdict, diagnose
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.spec.parts import DEFAULT_MONITOR
from service.docs import VERDICTS
from service.rendering.curves_png import CURVES, PURPLE
from tests.golden.runs import FILE
from tests.golden.scoring import history
from tests.golden.uneven import RARE_CLASSES, scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DPI = (6.4, 4.0), 100  # 640 x 400 pixels
COLOURS = 256  # of the palette that a finished picture is brought down to
GREY, BLUE = "#666666", "#0072B2"
SURE = 1.96  # standard errors to either side of a mean: 95 % of such ranges hold the true one

EXAMPLES: Mapping[Verdict, tuple[str, int]] = {
    Verdict.HEALTHY: ("full_cosine", 1),
    Verdict.OVERFITTING: ("label_noise_20", 1),
    Verdict.STAGNANT_GENERALIZATION: ("few_plain_cnn", 3),
    Verdict.OVERCONFIDENT: ("label_noise_5", 1),
    Verdict.UNDERFITTING: ("too_small_mlp", 1),
    Verdict.NOT_LEARNING: ("lr_far_too_low", 1),
    Verdict.STILL_IMPROVING: ("few_epochs", 1),
    Verdict.DIVERGED: ("lr_too_high_sgd", 4),
    Verdict.UNSTABLE: ("rising_rate", 1),
    Verdict.NOISY_VALIDATION: ("jumping_mlp", 1),
    Verdict.SMALL_VALIDATION: ("tiny_validation", 2),
    Verdict.TRAIN_ABOVE_VALIDATION: ("mixed_images", 1),
    Verdict.SUSPECTED_LEAKAGE: ("duplicates", 1),
    Verdict.TOO_SHORT_TO_TELL: ("three_epochs", 1),
}
WITH_GUESSING = (Verdict.UNDERFITTING, Verdict.NOT_LEARNING, Verdict.DIVERGED)  # their losses are held against it
WITH_ACCURACY = (Verdict.OVERFITTING, Verdict.OVERCONFIDENT)  # it tells the two apart


def draw(run: Mapping[str, Any], verdict: Verdict) -> bytes:
    """The losses of a run as a PNG, with the best epoch and the onset of what it shows marked.

    Raises ValueError where this verdict is not the first that the run gets.
    """
    epochs, facts = history(run), Facts.from_dict(run["facts"])
    shown = diagnose(epochs, facts=facts, stop_reason=run["stop_reason"])
    if shown.verdict != verdict:
        raise ValueError(f"{run['set_up']} {run['seed']} shows {shown.verdict}: choose another run for {verdict}")
    figure = Figure(INCHES, DPI, layout="constrained")
    heights = (3, 1) if verdict in WITH_ACCURACY else (1,)
    panels = list(figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    losses = panels[0]
    _curves(losses, epochs)
    if verdict is Verdict.SMALL_VALIDATION:
        _range(losses, epochs)
    if verdict in WITH_GUESSING:
        losses.axhline(facts.trivial_loss, color=GREY, linewidth=1, linestyle="--", label="guessing")
    if verdict in WITH_ACCURACY:
        _accuracy(panels[1], epochs)
    _mark(panels, epochs, shown.onset_epoch)
    panels[-1].set_xlabel("epoch", fontsize=11)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    figure.legend(*losses.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=10, frameon=False)
    return _png(figure)


def draw_recall(recall: Mapping[str, float], rare: Collection[str]) -> bytes:
    """The recall of each class as a PNG, that of the rare classes in another colour."""
    figure = Figure(INCHES, DPI, layout="constrained")
    axes = figure.subplots()
    colours = [PURPLE if name in rare else BLUE for name in recall]
    axes.bar(list(recall), list(recall.values()), color=colours)
    axes.set_xlabel("class; purple: rare", fontsize=11)
    axes.set_ylabel("recall", fontsize=11)
    axes.grid(axis="y", alpha=0.3)
    return _png(figure)


def _curves(axes: "Axes", epochs: Sequence[Epoch]) -> None:
    for name, (label, colour, style) in CURVES.items():
        axes.plot([e.epoch for e in epochs], _values(epochs, name), style, color=colour, label=label, linewidth=2)
    axes.set_ylabel("cross entropy per image", fontsize=10)
    axes.set_ylim(bottom=0, top=1.05 * axes.get_ylim()[1])
    axes.grid(alpha=0.3)


def _values(epochs: Sequence[Epoch], name: str) -> list[float]:
    """One column; what was not finite leaves a hole in the curve."""
    return [math.nan if (value := getattr(e, name)) is None else value for e in epochs]


def _range(axes: "Axes", epochs: Sequence[Epoch]) -> None:
    measured = [(e.epoch, e.val_loss, SURE * e.val_loss_se) for e in epochs if e.val_loss and e.val_loss_se]
    low, high = ([loss + sign * error for _, loss, error in measured] for sign in (-1, 1))
    axes.fill_between([number for number, _, _ in measured], low, high, color=BLUE, alpha=0.15, label="its 95 % range")


def _accuracy(axes: "Axes", epochs: Sequence[Epoch]) -> None:
    axes.plot([e.epoch for e in epochs], _values(epochs, "val_accuracy"), color=BLUE, linewidth=2)
    axes.set_ylabel("validation\naccuracy", fontsize=10)
    axes.grid(alpha=0.3)


def _mark(panels: Sequence["Axes"], epochs: Sequence[Epoch], onset: int | None) -> None:
    best = min((e for e in epochs if e.val_loss is not None), key=lambda e: e.val_loss or 0.0).epoch
    for axes in panels:
        axes.axvline(best, color="black", linewidth=1, label=f"best: epoch {best}")
        if onset is not None:
            axes.axvline(onset, color=PURPLE, linewidth=2.5, linestyle=":", label=f"onset: epoch {onset}")


def _png(figure: Figure) -> bytes:
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


def main(folder: Path) -> None:
    """Draw all of them into a folder."""
    runs = {(run["set_up"], run["seed"]): run for run in json.loads(FILE.read_text())}
    for verdict, example in EXAMPLES.items():
        (folder / f"{verdict}.png").write_bytes(draw(runs[example], verdict))
    recall = dict(zip(map(str, range(10)), scores({}, DEFAULT_MONITOR, 1).per_class, strict=True))
    picture = draw_recall({name: each.recall for name, each in recall.items()}, tuple(map(str, RARE_CLASSES)))
    (folder / f"{Verdict.RARE_CLASSES_IGNORED}.png").write_bytes(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else VERDICTS)
