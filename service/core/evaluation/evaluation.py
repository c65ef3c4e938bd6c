"""The evaluation of a model on one part of its images: scores, calibration and mistakes."""

from dataclasses import dataclass

import numpy as np

from service.core.evaluation.calibration import Calibration, calibration
from service.core.evaluation.outcomes import Integers, Outcomes, outcomes
from service.core.evaluation.predictions import VALIDATION, Predictions
from service.core.evaluation.scores import Baseline, Scores, baseline, confusion_matrix, scores
from service.core.evaluation.temperature import crossed_temperatures, fit_temperature


@dataclass(frozen=True)
class Evaluation:
    """What a model does with at least one image of one part."""

    outcomes: Outcomes
    scores: Scores
    calibration: Calibration
    baseline: Baseline

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays, which are almost all of it."""
        return self.scores.confusion.nbytes + self.outcomes.nbytes

    def mistakes(self, most: int, label: int | None = None, guess: int | None = None) -> Integers:
        """The rows in `outcomes` of at most `most` wrong guesses, by falling loss.

        `label` and `guess` restrict them to a row, a column or a cell of the confusion matrix; in a cell of its
        diagonal the guesses are right.
        """
        images = self.outcomes
        chosen = ~images.is_right if label is None or label != guess else images.is_right
        for column, value in ((images.label, label), (images.guess, guess)):
            if value is not None:
                chosen = chosen & (column == value)
        (rows,) = np.nonzero(chosen)
        return rows[np.lexsort((images.index[rows], -images.loss[rows]))[:most]]


def evaluate(predictions: Predictions, part: int) -> Evaluation:
    """The evaluation of a part, which has at least one image.

    The temperature is fitted on the validation images. They are scored with it by cross-fitting, other images directly.
    """
    images = predictions.of(part)
    if part == VALIDATION:
        temperature, crossed = crossed_temperatures(images)
        scored = outcomes(images, crossed)
    else:
        validation = predictions.of(VALIDATION)
        temperature = fit_temperature(validation.logits, validation.label)
        scored = outcomes(images, temperature)
    confusion = confusion_matrix(scored.label, scored.guess, images.logits.shape[1])
    return Evaluation(scored, scores(confusion), calibration(scored, temperature), baseline(confusion))
