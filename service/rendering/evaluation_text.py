"""An evaluation as plain text: the scores beside those of guessing, the confusion matrix, a table of the classes."""

from collections.abc import Sequence
from typing import Any

from service.core.text import counted, format_percent, shortened

Json = dict[str, Any]

WIDEST_MATRIX = 20  # classes; larger matrices are shown as their most confused pairs
LONGEST_NAME = 20  # characters of a class
PAIRS, MARK = 20, "·"  # confused pairs that are listed; an empty cell of the matrix


def draw(evaluation: Json) -> str:
    """The evaluation, an answer of the API in JSON, as text."""
    parts = [_scores(evaluation), _matrix(evaluation), _classes(evaluation["per_class"]), _mistakes(evaluation)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _scores(evaluation: Json) -> str:
    guess, calibration = evaluation["baseline"], evaluation["calibration"]
    images = counted(evaluation["images"], f"{evaluation['part']} image")
    rows = [
        (images, "model", "95 % interval", f"guessing {_short(guess['label'])}"),
        ("loss", _number(evaluation["loss"]), _interval(evaluation["loss_interval"]), _number(guess["loss"])),
        (
            "accuracy",
            format_percent(evaluation["accuracy"]),
            _shares(evaluation["accuracy_interval"]),
            format_percent(guess["accuracy"]),
        ),
        ("macro F1", _number(evaluation["macro_f1"]), "", _number(guess["macro_f1"])),
        (
            "balanced accuracy",
            format_percent(evaluation["balanced_accuracy"]),
            "",
            format_percent(guess["balanced_accuracy"]),
        ),
        ("calibration error", _number(calibration["ece"]), _interval(calibration["ece_interval"]), ""),
        ("Brier score", _number(calibration["brier"]), _interval(calibration["brier_interval"]), ""),
    ]
    after = (
        f"temperature {calibration['temperature']:.3g}: loss {_number(calibration['loss_after'])} "
        f"{_interval(calibration['loss_after_interval'])}, calibration error {_number(calibration['ece_after'])}"
    )
    return "\n".join([*_table(rows), after])


def _matrix(evaluation: Json) -> str:
    matrix, classes = evaluation["confusion"], [_short(name) for name in evaluation["classes"]]
    if matrix is None or len(classes) > WIDEST_MATRIX:
        pairs = [
            (_short(each["label"]), _short(each["guess"]), str(each["images"]))
            for each in evaluation["confused"][:PAIRS]
        ]
        return "\n".join(["most confused classes", *_table([("label", "guess", "images"), *pairs])]) if pairs else ""
    rows = [(name, *(str(images or MARK) for images in row)) for name, row in zip(classes, matrix, strict=True)]
    return "\n".join(["rows: label, columns: prediction", *_table([("", *classes), *rows])])


def _classes(per_class: Sequence[Json]) -> str:
    head = ("class", "images", "precision", "recall", "95 % interval", "F1")
    rows = [
        (
            _short(each["label"]),
            str(each["support"]),
            format_percent(each["precision"]),
            format_percent(each["recall"]),
            _shares(each["recall_interval"]),
            _number(each["f1"]),
        )
        for each in per_class
    ]
    return "\n".join(_table([head, *rows]))


def _mistakes(evaluation: Json) -> str:
    rows = [
        (
            str(each["index"]),
            _short(each["label"]),
            _short(each["guess"]),
            f"{each['probability']:.3f}",
            _number(each["loss"]),
        )
        for each in evaluation["mistakes"]
    ]
    return "\n".join(_table([("image", "label", "guess", "probability", "loss"), *rows])) if rows else ""


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _short(name: str) -> str:
    return shortened(name, LONGEST_NAME)


def _number(value: float) -> str:
    return f"{value:.3f}"


def _interval(interval: Sequence[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _shares(interval: Sequence[float]) -> str:
    return f"{format_percent(interval[0])} to {format_percent(interval[1])}"
