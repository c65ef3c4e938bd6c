"""Scores of guesses: the confusion matrix and what follows from it, over all classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.intervals import Interval, wilson

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Counts = Integers | Floats  # whole numbers


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class. `support` and `guessed` are the images that have the class and that got it as guess.

    Precision without a guess, recall without an image, and F1 without either are 0.
    """

    support: int
    guessed: int
    precision: float
    recall: float
    f1: float
    precision_interval: Interval
    recall_interval: Interval


@dataclass(frozen=True)
class Scores:
    """`confusion` int64 [K, K] counts images by label (row) and guess (column).

    `macro_f1` and `balanced_accuracy` are the means of F1 and recall over all K classes, classes without an image among
    them. `accuracy_interval` is a 95 % one.
    """

    confusion: Integers
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    balanced_accuracy: float
    per_class: tuple[ClassScore, ...]


@dataclass(frozen=True)
class Baseline:
    """Guessing the most common class of the scored images. `loss` is that of saying the frequencies of the classes."""

    label: int
    accuracy: float
    loss: float
    macro_f1: float
    balanced_accuracy: float


def confusion_matrix(label: Integers, guess: Integers, classes: int) -> Integers:
    """int64 [K, K]: the number of images by label (row) and guess (column), both from 0 to K - 1."""
    return np.bincount(label * classes + guess, minlength=classes * classes).reshape(classes, classes)


def scores(confusion: Integers) -> Scores:
    """The scores of at least one image."""
    right, support, guessed = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall, f1 = _ratio(right, guessed), recalls(right, support), f1_scores(right, support, guessed)
    hits, images = int(right.sum()), int(support.sum())
    columns = (right, support, guessed, precision, recall, f1)
    return Scores(
        confusion=confusion,
        accuracy=hits / images,
        accuracy_interval=wilson(hits, images),
        macro_f1=float(f1.mean()),
        balanced_accuracy=float(recall.mean()),
        per_class=tuple(
            ClassScore(s, g, p, r, f, wilson(n, g), wilson(n, s))
            for n, s, g, p, r, f in zip(*(column.tolist() for column in columns), strict=True)
        ),
    )


def recalls(right: Counts, support: Counts) -> Floats:
    """float64 [K]: the share of the images of each class that got it as guess; 0 for a class without an image."""
    return _ratio(right, support)


def f1_scores(right: Counts, support: Counts, guessed: Counts) -> Floats:
    """float64 [K]: F1 of each class; 0 for a class that no image has or got as guess."""
    return _ratio(2 * right, support + guessed)


def baseline(confusion: Integers) -> Baseline:
    """The scores of guessing, for at least one image."""
    support = confusion.sum(axis=1)
    shares = support[support > 0] / support.sum()
    accuracy, classes = float(shares.max()), len(support)
    return Baseline(
        label=int(support.argmax()),
        accuracy=accuracy,
        loss=-float((shares * np.log(shares)).sum()) + 0.0,
        macro_f1=2 * accuracy / (1 + accuracy) / classes,
        balanced_accuracy=1 / classes,
    )


def confused(confusion: Integers, most: int) -> list[tuple[int, int, int]]:
    """The `most` (label, guess, images) of wrong guesses with the most images, the largest first."""
    label, guess = np.nonzero(confusion - np.diag(np.diagonal(confusion)))
    images = confusion[label, guess]
    first = np.argsort(-images, kind="stable")[:most]
    return list(zip(*(column[first].tolist() for column in (label, guess, images)), strict=True))


def _ratio(part: Counts, whole: Counts) -> Floats:
    """part / whole, 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
