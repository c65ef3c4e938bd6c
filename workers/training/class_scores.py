"""Scores of an epoch that weigh every class alike, and the noise of each, from counts by class."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.core.evaluation.scores import f1_scores, recalls

Counts = NDArray[np.float64]


def count(guesses: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """float64 [classes] each, on the device: how often each class was guessed, and how often rightly.

    `guesses` and `labels` are int64 [n]. Does not synchronize.
    """
    hits = (guesses == labels).long()
    counts = torch.zeros(2 * classes, dtype=torch.float64, device=guesses.device)
    counts.scatter_add_(0, guesses + classes * hits, torch.ones_like(guesses, dtype=torch.float64))
    wrong, right = counts[:classes], counts[classes:]
    return wrong + right, right


def macro_f1_error(guesses: Tensor, labels: Tensor, support: Tensor, guessed: Tensor, right: Tensor) -> Tensor:
    """Standard error of macro F1 by the delta method: float64 [], on the device.

    F_k = 2 right_k / D_k with D_k = support_k + guessed_k. An image with label a and guess b changes the sum of all F
    by 2 [a = b] / D_a - F_a / D_a - F_b / D_b; the variance of the sum is that of n such changes, whose mean is 0.
    Takahashi, Yamamoto, Kuchiba and Koyama, "Confidence interval for micro-averaged F1 and macro-averaged F1 scores"
    (2022), derive the same from the multinomial distribution of the confusion matrix.
    """
    both = support + guessed
    share = 2 * right / both**2
    change = 2 * (guesses == labels) / both[labels] - share[labels] - share[guesses]
    return torch.dot(change, change).sqrt() / len(support)


@dataclass(frozen=True)
class ClassScores:
    """The scores of n images by class: float64 [K] each. As in the evaluation of a job, means are over all K classes.

    `support` counts the images with the class, `right` those of them that got it as guess. `recall` and `f1` are those
    of service/core/evaluation/scores.py: 0 where there is nothing to count. Standard errors are over the images.
    """

    support: Counts
    right: Counts
    recall: Counts
    f1: Counts

    @classmethod
    def of(cls, support: Counts, guessed: Counts, right: Counts) -> "ClassScores":
        """From counts of images: those that have the class, those that got it as guess, and those that did both."""
        return cls(support, right, recalls(right, support), f1_scores(right, support, guessed))

    @property
    def images(self) -> float:
        return float(self.support.sum())

    @property
    def accuracy(self) -> float:
        return float(self.right.sum()) / self.images

    @property
    def macro_f1(self) -> float:
        return float(self.f1.mean())

    @property
    def balanced_accuracy(self) -> float:
        return float(self.recall.mean())

    @property
    def balanced_accuracy_error(self) -> float:
        """The root of the sum of the binomial variances of all recalls, over the number of classes."""
        there = self.support > 0
        recall = self.recall[there]
        return math.sqrt((recall * (1 - recall) / self.support[there]).sum()) / len(self.recall)

    @property
    def worst_recall(self) -> float:
        """The lowest recall of a class with an image."""
        return float(self.recall[self._worst])

    @property
    def worst_recall_error(self) -> float:
        """Binomial, for the images of that class. It ignores that the class was chosen as the worst one."""
        return binomial_error(self.worst_recall, self.support[self._worst])

    @property
    def _worst(self) -> int:
        """The first class with the lowest recall."""
        return int(np.where(self.support > 0, self.recall, np.inf).argmin())


def binomial_error(share: float, images: float) -> float:
    """Standard error of a share of images."""
    return math.sqrt(share * (1 - share) / images)
