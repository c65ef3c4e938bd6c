"""The confusion matrix and the reliability diagram of an evaluation as a picture."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from service.core.evaluation.evaluation import Evaluation
from service.core.evaluation.scores import Scores
from service.core.text import shortened
from service.rendering.curves_png import LONGEST_NAME
from service.rendering.evaluation_document import MOST_CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES, DPI = (11.0, 5.5), 100  # 1100 x 550 pixels
MOST_NUMBERS = 20  # classes up to which cells show their images
LONGEST_LABEL = 16  # characters of a class
BLUE, ORANGE = "#0072B2", "#E69F00"  # colour-blind safe (Okabe and Ito, 2008)
DARK = 0.5  # share of a row above which the number in the cell is white


def draw(title: str, classes: Sequence[str], evaluation: Evaluation, kind: str) -> bytes:
    """Both diagrams side by side; `kind` is png or svg."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - large, and only needed for pictures

    figure = Figure(INCHES, DPI, layout="constrained")
    matrix, reliability = figure.subplots(1, 2, width_ratios=(3, 2))
    figure.suptitle(_plain(title, LONGEST_NAME), x=0.01, ha="left", fontsize=13)
    _matrix(figure, matrix, classes, evaluation.scores)
    _reliability(reliability, evaluation)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _matrix(figure: "Figure", axes: "Axes", classes: Sequence[str], scores: Scores) -> None:
    """Each row is coloured by its shares, so that rare classes show as clearly as common ones."""
    support = scores.confusion.sum(axis=1, keepdims=True)
    shares = scores.confusion / np.maximum(support, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_title(f"accuracy {scores.accuracy:.1%}, macro F1 {scores.macro_f1:.3f}", loc="left", fontsize=11)
    axes.set_xlabel("guess")
    axes.set_ylabel("label")
    names = [_plain(name, LONGEST_LABEL) for name in classes] if len(classes) <= MOST_CLASSES else []
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=9 if len(names) <= MOST_NUMBERS else 6)
    axes.set_yticks(range(len(names)), names, fontsize=9 if len(names) <= MOST_NUMBERS else 6)
    if len(classes) <= MOST_NUMBERS:
        for (row, column), images in np.ndenumerate(scores.confusion):
            if images:
                colour = "white" if shares[row, column] > DARK else "black"
                axes.text(column, row, f"{images}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the label's images", shrink=0.8)


def _reliability(axes: "Axes", evaluation: Evaluation) -> None:
    """Accuracy by confidence; the size of a point grows with its images."""
    calibration = evaluation.calibration
    bins = [each for each in calibration.bins if each.images]
    confidence = np.array([each.confidence for each in bins], np.float64)
    accuracy = np.array([each.accuracy for each in bins], np.float64)
    images = np.array([each.images for each in bins])
    axes.plot([0, 1], [0, 1], color="black", linewidth=1, linestyle=":", label="calibrated")
    axes.plot(confidence, accuracy, color=BLUE, linewidth=2, label="model")
    axes.scatter(confidence, accuracy, 20 + 100 * images / images.max(), color=BLUE, zorder=3)
    axes.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=2, label="calibration error")
    axes.set_title(f"ECE {calibration.ece:.3f}, temperature {calibration.temperature:.3g}", loc="left", fontsize=11)
    axes.set_xlabel("confidence: probability of the predicted class")
    axes.set_ylabel("accuracy")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", frameon=False)


def _plain(name: str, longest: int) -> str:
    """A name without the sign that begins a formula, cut to a length."""
    return shortened(name, longest).replace("$", r"\$")
