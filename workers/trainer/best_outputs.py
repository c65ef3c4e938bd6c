"""The outputs of the best model for the validation and the test images, and the temperature that fits them."""

import numpy as np
from torch import Tensor

from service.core.evaluation.calibration import summarize
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, joined
from service.core.records.facts import CalibrationFact
from workers.trainer.inputs import Inputs
from workers.training.evaluate import Score, Scorer, scoring_batch
from workers.training.loop import TrainingResult


def predict_parts(inputs: Inputs, fitted: TrainingResult, batch_size: int) -> tuple[Predictions, Score | None]:
    """The logits of the validation images, then of the test images; and the score of the latter (None without any).

    The model has its best weights. The validation images are scored again only if the run was resumed after its best
    epoch, because checkpoints hold no logits.
    """
    split = inputs.prepared.split
    validation, score = fitted.best_logits, None
    if validation is None:
        validation = part_scorer(inputs, split.validation, batch_size).logits(inputs.model)
    parts = [_part(inputs, VALIDATION, split.validation, validation)]
    if len(split.test):
        scorer = part_scorer(inputs, split.test, batch_size)
        logits = scorer.logits(inputs.model)
        parts.append(_part(inputs, TEST, split.test, logits))
        score = scorer.score(logits)
    return joined(*parts), score


def calibration_of(predictions: Predictions) -> CalibrationFact | None:
    """The temperature for the validation images; None where a logit is not finite."""
    validation = predictions.of(VALIDATION)
    if not np.isfinite(validation.logits).all():
        return None
    return CalibrationFact.of(summarize(validation))


def part_scorer(inputs: Inputs, indices: Tensor, batch_size: int) -> Scorer:
    """Scores the images of a part of the data set, in this process alone."""
    batches = inputs.batches(indices)
    return Scorer(batches, scoring_batch(batches, batch_size))


def _part(inputs: Inputs, part: int, indices: Tensor, logits: Tensor) -> Predictions:
    labels = inputs.prepared.images.labels[indices]
    return Predictions(np.full(len(indices), part, np.uint8), indices.numpy(), labels.numpy(), logits.cpu().numpy())
