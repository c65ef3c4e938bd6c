"""The outputs of the best model for the validation and the test images, and the temperature that fits them."""

import math
from dataclasses import asdict

import numpy as np
from torch import Tensor

from service.core.evaluation.calibration import summarize
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, joined
from service.core.records.facts import CalibrationFact, TestScore
from service.core.spec import JobSpec
from workers.trainer.inputs import Inputs
from workers.training.evaluate import Score, Scorer, scoring_batch


def predict_parts(
    inputs: Inputs, best_logits: Tensor | None, spec: JobSpec, *, with_test: bool
) -> tuple[Predictions, Score | None]:
    """The logits of the validation images, then of the test images; and the score of the latter (None without any).

    The model has its best weights. `best_logits` are those of the validation images; without them, these images are
    scored again: checkpoints hold no logits.
    """
    split, score = inputs.prepared.split, None
    if best_logits is None:
        best_logits = part_scorer(inputs, split.validation, spec).logits(inputs.model)
    parts = [_part(inputs, VALIDATION, split.validation, best_logits)]
    if with_test and len(split.test):
        scorer = part_scorer(inputs, split.test, spec)
        logits = scorer.logits(inputs.model)
        parts.append(_part(inputs, TEST, split.test, logits))
        score = scorer.score(logits)
    return joined(*parts), score


def test_score(score: Score | None) -> TestScore | None:
    """The fact to record; None where the loss is not finite, since JSON has no such numbers."""
    return TestScore(**asdict(score)) if score and math.isfinite(score.loss) else None


def calibration_of(predictions: Predictions) -> CalibrationFact | None:
    """The temperature for the validation images; None where a logit is not finite."""
    validation = predictions.of(VALIDATION)
    if not np.isfinite(validation.logits).all():
        return None
    return CalibrationFact.of(summarize(validation))


def part_scorer(inputs: Inputs, indices: Tensor, spec: JobSpec) -> Scorer:
    """Scores the images of a part of the data set, in this process alone."""
    batches = inputs.batches(indices)
    return Scorer(batches, scoring_batch(batches, spec.batch_size), views=spec.test_time_augmentation)


def _part(inputs: Inputs, part: int, indices: Tensor, logits: Tensor) -> Predictions:
    labels = inputs.prepared.images.labels[indices]
    return Predictions(np.full(len(indices), part, np.uint8), indices.numpy(), labels.numpy(), logits.cpu().numpy())
