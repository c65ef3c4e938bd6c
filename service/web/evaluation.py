"""The evaluation on the page of a job: headline, confusion matrix, scores by class, calibration, worst mistakes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import url_for

from service.api.evaluated import Evaluated, evaluated_job, require_predictions
from service.core.errors import Conflict, NotFound, StorageError
from service.core.evaluation.evaluation import Evaluation
from service.core.evaluation.scores import confused
from service.core.records.job import Job
from service.core.storage import Artifact
from service.rendering.evaluation_document import MOST_CLASSES, document, mistakes
from service.rendering.reliability import SIDE, circles
from service.web import headline
from service.web.matrix import cells

WORST = 20  # mistakes that the page of a job shows
MANY, LONG = 6, 3  # classes and characters above which the heads of the columns of the matrix stand upright
WIDE = 15  # classes above which the matrix needs the width of the page
PAIRS = 20  # confused classes that are listed in place of a matrix


def evaluation(job: Job, published: Sequence[Artifact], asked: str | None) -> dict[str, Any]:
    """What the page of a job shows of its evaluation; `missing` says why there is none.

    `asked` is the part, by default the test images if there are any. Raises NotFound for a part without images.
    """
    try:
        evaluated = evaluated_job(job, require_predictions(job, published))
        part = evaluated.part(None)
    except (Conflict, NotFound, StorageError) as error:
        return {"missing": str(error), "headline": headline.of_best_epoch(job)}
    part = asked or part
    found = evaluated.evaluation(part)
    return {"missing": None, "headline": headline.of_evaluation(part, found), **_shown(job, evaluated, found, part)}


def _shown(job: Job, evaluated: Evaluated, found: Evaluation, part: str) -> dict[str, Any]:
    classes, is_small = evaluated.classes, len(evaluated.classes) <= MOST_CLASSES
    address = partial(_cell_address, job.id, evaluated.classes, part)
    return {
        **document(found, classes),
        "part": part,
        "parts": evaluated.parts,
        "matrix": cells(found.scores, address) if is_small else None,
        "is_upright": len(classes) > MANY and max(map(len, classes)) > LONG,
        "is_wide": is_small and len(classes) > WIDE,
        "pairs": [
            {"label": classes[label], "guess": classes[guess], "images": images, "address": address(label, guess)}
            for label, guess, images in confused(found.scores.confusion, 0 if is_small else PAIRS)
        ],
        "weakest": _weakest(found),
        "circles": circles(found.calibration.bins),
        "side": SIDE,
        "worst": mistakes(found, classes, found.mistakes(WORST).tolist(), evaluated.image),
        "wrong": int((~found.outcomes.is_right).sum()),
    }


def _cell_address(job_id: str, classes: Sequence[str], part: str, label: int, guess: int) -> str:
    """The page with the pictures of a cell of the confusion matrix."""
    return url_for("web.mistakes", job_id=job_id, part=part, label=classes[label], guess=classes[guess])


def _weakest(found: Evaluation) -> list[int]:
    """The places of the classes in the table: all in their order, of many those with the lowest F1."""
    scores = found.scores.per_class
    if len(scores) <= MOST_CLASSES:
        return list(range(len(scores)))
    return sorted(range(len(scores)), key=lambda place: scores[place].f1)[:MOST_CLASSES]
