"""Loss curves as a picture: readable at 640 pixels, in colour-blind safe colours (Okabe and Ito, 2008)."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.core.diagnosis import Note
from service.core.records.epoch import Epoch
from service.core.records.job import Job

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DPI = (8.0, 5.0), 100  # 800 x 500 pixels
CURVES = {
    "train_loss": ("training, while the weights change", "#E69F00", "--"),
    "train_loss_clean": ("clean training", "#009E73", "-."),
    "val_loss": ("validation", "#0072B2", "-"),
}
PURPLE = "#CC79A7"
LONGEST_NAME = 64  # characters that fit in the title
EXPLODED = 15.0  # nats; above it a linear axis flattens all other losses, so the axis is logarithmic


def draw(job: Job, epochs: Sequence[Epoch], shown: Note, kind: str) -> bytes:
    """Draw the losses by epoch, with marks for the best epoch, the stop and the onset; `kind` is png or svg."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - large, and only needed for pictures

    figure = Figure(INCHES, DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(_title(job, epochs, shown), loc="left", fontsize=13)
    axes.set_xlabel("epoch", fontsize=13)
    axes.set_ylabel("cross entropy per image", fontsize=13)
    axes.tick_params(labelsize=12)
    axes.grid(alpha=0.3)
    if epochs:
        _curves(axes, epochs)
        _mark(axes, job, epochs, shown.onset_epoch)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=12, frameon=False)
    else:
        axes.text(0.5, 0.5, "no epochs yet", ha="center", va="center", transform=axes.transAxes, fontsize=13)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def verdict(shown: Note) -> str:
    """The verdict in words."""
    return shown.verdict.replace("_", " ")


def _title(job: Job, epochs: Sequence[Epoch], shown: Note) -> str:
    name = job.spec.name or job.id
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 1]}…"
    state = str(job.stop_reason or job.status).replace("_", " ")
    if epochs:
        since = f" since epoch {shown.onset_epoch}" if shown.onset_epoch else ""
        state = f"{verdict(shown)}{since}; {state}"
    return f"{name}\n{state}".replace("$", r"\$")


def _curves(axes: "Axes", epochs: Sequence[Epoch]) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - see above

    seen = []
    for name, (label, colour, style) in CURVES.items():
        losses = [math.nan if (loss := getattr(e, name)) is None else loss for e in epochs]  # NaN leaves a gap
        finite = [loss for loss in losses if not math.isnan(loss)]
        if finite:
            marker = "o" if len(finite) == 1 else None
            numbers = [e.epoch for e in epochs]
            axes.plot(numbers, losses, style, color=colour, label=label, linewidth=2, marker=marker)
        seen += finite
    if max(seen, default=0.0) > EXPLODED:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _mark(axes: "Axes", job: Job, epochs: Sequence[Epoch], onset: int | None) -> None:
    if onset:
        axes.axvline(onset, color=PURPLE, linewidth=3, linestyle=":", label=f"onset: epoch {onset}")
    if job.best:
        axes.axvline(job.best.epoch, color="black", linewidth=1, label=f"best: epoch {job.best.epoch}")
    if job.is_terminal:
        last = epochs[-1].epoch
        axes.axvline(last, color="black", linewidth=1.5, linestyle=(0, (1, 2)), label=f"stop: epoch {last}")
