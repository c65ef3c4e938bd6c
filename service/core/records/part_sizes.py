"""The number of images of a class in each part of a split."""

from collections.abc import Sequence
from typing import NamedTuple


class PartSizes(NamedTuple):
    """Images of a class in the training, the validation and the test part."""

    train: int
    validation: int
    test: int


def parts_needed(val_fraction: float, test_fraction: float) -> int:
    """The number of parts that are drawn: the fewest images that a class must have."""
    return 1 + (val_fraction > 0) + (test_fraction > 0)


def part_sizes(images: int, val_fraction: float, test_fraction: float) -> PartSizes:
    """The sizes of the parts for a class of at least `parts_needed` images: rounded shares, but at least one image.

    A fraction of 0 means that the part is not drawn.
    """
    needed = parts_needed(val_fraction, test_fraction)
    validation = min(max(1, round(images * val_fraction)), images - needed + 1) if val_fraction else 0
    test = min(max(1, round(images * test_fraction)), images - validation - 1) if test_fraction else 0
    return PartSizes(images - validation - test, validation, test)


def fold_sizes(counts: Sequence[int], folds: int, test_fraction: float) -> list[tuple[int, ...]]:
    """For each class, from the number of its images: the sizes of its folds, and at the end that of its test part.

    A class needs an image for each fold, and one more for the test unless `test_fraction` is 0. The folds of a class
    differ by one image at most, and so do the folds of all classes together.
    """
    sizes, first = [], 0  # the fold that gets one of the images that are left over
    for images in counts:
        test = min(max(1, round(images * test_fraction)), images - folds) if test_fraction else 0
        each, left = divmod(images - test, folds)
        sizes.append((*(each + ((fold - first) % folds < left) for fold in range(folds)), test))
        first = (first + left) % folds
    return sizes
