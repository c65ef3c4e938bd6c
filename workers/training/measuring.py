"""Measures the epochs of a run. All numbers of an epoch are copied from the device at once."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers.training.class_scores import ClassScores, binomial_error, count, macro_f1_error
from workers.training.data.batches import Batches
from workers.training.evaluate import Outcomes, Scorer, scoring_batch, standard_error
from workers.training.state import State, ValidationScore
from workers.training.step import Step
from workers.training.temperature import calibrated


def scores_of(scorer: Scorer, logits: Tensor, classes: int) -> dict[str, float]:
    """The scores of validation images by the names of an epoch's measures, from logits that `scorer` has returned.

    A loss may be non-finite; `val_loss_se` is 0 for a single image. Synchronizes with the device.
    """
    outcomes = scorer.outcomes(logits)
    support = torch.bincount(scorer.labels, minlength=classes).double()
    counts = (support, *count(outcomes.guesses, scorer.labels, classes))
    calibrated_losses = calibrated(outcomes, torch.ones((), dtype=torch.float64, device=logits.device)).losses
    means = torch.stack([outcomes.losses.mean(), standard_error(outcomes.losses), calibrated_losses.mean()]).tolist()
    return {
        **dict(zip(("val_loss", "val_loss_se", "val_loss_calibrated"), means, strict=True)),
        **_by_name(ClassScores.of(*(one.cpu().numpy() for one in counts))),
    }


def _by_name(scores: ClassScores) -> dict[str, float]:
    """Scores that weigh every class alike, and the accuracy, by the names of an epoch's measures."""
    return {
        "val_accuracy": scores.accuracy,
        "val_macro_f1": scores.macro_f1,
        "val_balanced_accuracy": scores.balanced_accuracy,
        "val_worst_recall": scores.worst_recall,
    }


class Measuring:
    """Scores the model of a run after an epoch."""

    def __init__(self, state: State, step: Step, validation: Batches, clean: Batches | None) -> None:
        """`clean` are the training images that are scored as the validation images are."""
        self._state, self._step = state, step
        batch_size = scoring_batch(validation, state.spec.batch_size)
        views = state.spec.test_time_augmentation
        self._validation = Scorer(validation, batch_size, state.group, views)
        self._clean = Scorer(clean, batch_size, state.group, views) if clean else None
        self._support = torch.bincount(validation.labels, minlength=validation.classes).double()

    def __call__(self, images: int) -> tuple[dict[str, Any], ValidationScore]:
        """The measures of the epoch of `images` training images, by their names in EpochResult, and the score of each
        validation image, on the device.

        Copying the measures is the only synchronization of the epoch.
        """
        state, scorer, classes = self._state, self._validation, len(self._support)
        logits = scorer.logits(state.scored)
        outcomes = scorer.outcomes(logits)
        counts = count(outcomes.guesses, scorer.labels, classes)
        means = self._means(outcomes, counts)
        copied = torch.cat([torch.stack([*means.values()]), *counts, state.totals()])
        numbers = state.group.agree(copied.tolist())
        of_classes, totals = numbers[len(means) :], numbers[len(means) + 2 * classes :]
        scores = ClassScores.of(self._support.numpy(), *np.array(of_classes[: 2 * classes]).reshape(2, classes))
        measures = {
            **state.means(totals, images),
            "train_loss_clean": None,
            **dict(zip(means, numbers, strict=False)),
            **_by_name(scores),
        }
        self._add_noise(measures, scores)
        return measures, ValidationScore(logits, outcomes.losses)

    def _means(self, outcomes: Outcomes, counts: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Measures and standard errors that need the single images: float64 [] each, on the device."""
        state, losses = self._state, outcomes.losses
        best = calibrated(outcomes, state.sharpness)
        state.sharpness = best.sharpness
        means = {
            "penalty": self._step.penalty(),
            "val_loss": losses.mean(),
            "val_loss_calibrated": best.losses.mean(),
            "val_loss_se": standard_error(losses),
        }
        if self._clean:
            means["train_loss_clean"] = self._clean.outcomes(self._clean.logits(state.scored)).losses.mean()
        if state.best_losses is not None:
            means["val_change_se"] = standard_error(losses - state.best_losses)
        match state.stopper.monitor:
            case "val_loss_calibrated":
                means["monitored_se"] = standard_error(best.losses)
            case "val_macro_f1":
                support = self._support.to(losses.device)
                means["monitored_se"] = macro_f1_error(outcomes.guesses, self._validation.labels, support, *counts)
        return means

    def _add_noise(self, measures: dict[str, Any], scores: ClassScores) -> None:
        """Complete the standard errors in the measures; none is known of one image or of a loss that is not finite."""
        match self._state.stopper.monitor:
            case "val_loss":
                measures["monitored_se"] = measures["val_loss_se"]
            case "val_accuracy":
                measures["monitored_se"] = binomial_error(scores.accuracy, scores.images)
            case "val_balanced_accuracy":
                measures["monitored_se"] = scores.balanced_accuracy_error
            case "val_worst_recall":
                measures["monitored_se"] = scores.worst_recall_error
        if not math.isfinite(measures["val_loss"]) or scores.images < 2:  # noqa: PLR2004 - one has no deviation
            measures |= dict.fromkeys(("val_loss_se", "val_change_se", "monitored_se"))
        if not math.isfinite(measures["val_loss_calibrated"]):
            measures["val_loss_calibrated"] = None
