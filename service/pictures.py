"""Loss curves as a picture, readable at 640 pixels and by the colour-blind (the palette of Okabe and Ito, 2008)."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.core.history import Epoch
from service.core.jobs import Job

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DPI = (8.0, 5.0), 100  # 800 x 500 pixels
CURVES = {
    "train_loss": ("training, as weights move", "#E69F00", "--"),
    "train_loss_clean": ("training, scored as validation is", "#009E73", "-."),
    "val_loss": ("validation", "#0072B2", "-"),
}


def draw(job: Job, epochs: Sequence[Epoch], kind: str) -> bytes:
    """The losses over the epochs with the best one and the stop marked; `kind` is png or svg."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - large, and only where a picture is asked for

    figure = Figure(INCHES, DPI, layout="constrained")
    axes = figure.subplots()
    for name, (label, colour, style) in CURVES.items():
        points = [(e.epoch, getattr(e, name)) for e in epochs if getattr(e, name) is not None]
        if points:
            marker = "o" if len(points) == 1 else None
            axes.plot(*zip(*points, strict=True), style, color=colour, label=label, linewidth=2, marker=marker)
    _mark(axes, job, epochs)
    title = job.spec.name or job.id
    axes.set_title(f"{title}: {job.stop_reason or job.status}".replace("$", r"\$"), fontsize=13)
    axes.set_xlabel("epoch", fontsize=12)
    axes.set_ylabel("cross entropy per image", fontsize=12)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _mark(axes: "Axes", job: Job, epochs: Sequence[Epoch]) -> None:
    if not epochs:
        axes.text(0.5, 0.5, "no epochs yet", ha="center", va="center", transform=axes.transAxes, fontsize=13)
        return
    if job.best:
        axes.axvline(job.best.epoch, color="black", linewidth=1, label=f"best: epoch {job.best.epoch}")
    if job.is_terminal:
        axes.axvline(
            epochs[-1].epoch, color="black", linewidth=1, linestyle=":", label=f"end: epoch {epochs[-1].epoch}"
        )
