"""An evaluation with the names of its classes, as the API returns it."""

from collections.abc import Callable, Sequence
from typing import Any

from service.core.evaluation.calibration import BINS
from service.core.evaluation.evaluation import Evaluation
from service.core.evaluation.scores import confused

MOST_CLASSES = 50  # of a confusion matrix in JSON, as text and in a picture
MOST_PAIRS = 50

Json = dict[str, Any]


def document(evaluation: Evaluation, classes: Sequence[str]) -> Json:
    """The evaluation as plain data, without its mistakes."""
    scores, baseline = evaluation.scores, evaluation.baseline
    calibration = vars(evaluation.calibration) | {"bins": _bins(evaluation)}
    return {
        "classes": list(classes),
        "images": len(evaluation.outcomes),
        "loss": calibration.pop("loss"),
        "loss_interval": calibration.pop("loss_interval"),
        **vars(scores),
        "baseline": vars(baseline) | {"label": classes[baseline.label]},
        "per_class": [{"label": label} | vars(score) for label, score in zip(classes, scores.per_class, strict=True)],
        "confusion": scores.confusion.tolist() if len(classes) <= MOST_CLASSES else None,
        "confused": [
            {"label": classes[label], "guess": classes[guess], "images": images}
            for label, guess, images in confused(scores.confusion, MOST_PAIRS)
        ],
        "calibration": calibration,
    }


def mistakes(
    evaluation: Evaluation, classes: Sequence[str], rows: Sequence[int], image: Callable[[int], str | None]
) -> list[Json]:
    """The images in these rows as plain data; `image` is the address of one by its index in the data set."""
    of = evaluation.outcomes
    return [
        {
            "index": int(of.index[row]),
            "label": classes[of.label[row]],
            "guess": classes[of.guess[row]],
            "probability": float(of.confidence[row]),
            "loss": float(of.loss[row]),
            "image": image(int(of.index[row])),
        }
        for row in rows
    ]


def _bins(evaluation: Evaluation) -> list[Json]:
    return [
        {"above": place / BINS, "at_most": (place + 1) / BINS} | vars(each)
        for place, each in enumerate(evaluation.calibration.bins)
    ]
