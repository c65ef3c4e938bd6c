"""The recall of rare classes."""

import numpy as np

from service.core.evaluation.predictions import Predictions
from service.core.records.facts import ClassRecall, RareClasses
from workers.trainer.rare_classes import rare_classes

NAMES = ("cat", "dog", "lynx", "wolf", "yeti")
TRAINING = np.repeat(np.arange(5), [100, 80, 20, 40, 0])  # 48 on average


def validation(labels: list[int], guesses: list[int]) -> Predictions:
    logits = np.eye(5, dtype=np.float32)[guesses]
    return Predictions(np.zeros(len(labels), np.uint8), np.arange(len(labels)), np.array(labels), logits)


def test_rare_classes_are_counted_apart_from_the_others() -> None:
    labels, guesses = [0, 0, 0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 1, 0, 2, 3]
    found = rare_classes(validation(labels, guesses), TRAINING, NAMES)
    assert found == RareClasses(2, 1, 6, 5, (ClassRecall("lynx", 20, 2, 1),))


def test_an_image_without_finite_logits_is_wrong() -> None:
    given = validation([0, 2, 2], [0, 2, 2])
    given.logits[1, 0] = np.nan
    found = rare_classes(given, TRAINING, NAMES)
    assert found is not None
    assert (found.images, found.right) == (2, 1)


def test_even_classes_have_no_rare_ones() -> None:
    assert rare_classes(validation([0, 1, 2], [0, 1, 2]), np.arange(50) % 5, NAMES) is None
    assert rare_classes(validation([0, 1], [0, 1]), TRAINING, NAMES) is None


def test_the_classes_with_the_lowest_recall_are_shown() -> None:
    training = np.repeat(np.arange(9), [500, *[9] * 8])
    names = tuple("abcdefghi")
    labels = [0, *range(1, 9), *range(1, 9)]
    guesses = [0, *range(1, 9), *[0] * 5, 6, 7, 8]
    logits = np.eye(9, dtype=np.float32)[guesses]
    given = Predictions(np.zeros(17, np.uint8), np.arange(17), np.array(labels), logits)
    found = rare_classes(given, training, names)
    assert found is not None
    assert [(each.label, each.right) for each in found.classes] == [(name, 1) for name in "bcdef"]
