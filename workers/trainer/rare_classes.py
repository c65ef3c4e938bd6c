"""The recall of rare classes, which a mean over all images hides."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.predictions import Predictions
from service.core.records.facts import ClassRecall, RareClasses

RARE = 0.5  # of the mean number of training images of a class; a class with fewer is rare
MOST_SHOWN = 5


def rare_classes(
    validation: Predictions, training_labels: NDArray[np.int64], names: Sequence[str]
) -> RareClasses | None:
    """The recall of the rare classes among the validation images; None without such images, or without others.

    `training_labels` int64 [N] are the classes of the training images, from 0 to K - 1; `names` are those of the K
    classes. An image with a logit that is not finite counts as wrong.
    """
    counts = np.bincount(training_labels, minlength=len(names))
    guess = np.where(np.isfinite(validation.logits).all(1), validation.logits.argmax(1), -1)
    images = np.bincount(validation.label, minlength=len(names))
    right = np.bincount(validation.label[guess == validation.label], minlength=len(names))
    is_rare = (counts < RARE * counts.mean()) & (counts > 0)
    if not images[is_rare].sum() or not images[~is_rare].sum():
        return None
    (shown,) = np.nonzero(is_rare & (images > 0))
    worst = shown[np.argsort(right[shown] / images[shown], kind="stable")][:MOST_SHOWN]
    return RareClasses(
        images=int(images[is_rare].sum()),
        right=int(right[is_rare].sum()),
        other_images=int(images[~is_rare].sum()),
        other_right=int(right[~is_rare].sum()),
        classes=tuple(ClassRecall(names[i], int(counts[i]), int(images[i]), int(right[i])) for i in worst),
    )
