"""The names of the splits of jobs. Jobs with the same name have the same images."""

from collections.abc import Container
from dataclasses import dataclass

from service.core.spec import Dataset

KEEPS_GROUPS = " groups=2"  # in the name of a split that is drawn by the rule for groups of release 0.2


@dataclass(frozen=True)
class Splits:
    """Names of the validation and the test images of a job (None: there are none, or they are not known)."""

    validation: str | None
    test: str | None


def split_names(options: Dataset, seed: int | None, given: Container[str], rule: str = "") -> Splits:
    """The names of both splits: given parts are the same under every seed, drawn parts depend on all fractions.
    All folds of one seed are tested on the same images. `seed` is the one that draws the split.

    `given` are the parts that come with the set. `rule` is KEEPS_GROUPS or empty: releases draw sets with copies
    differently, so the worker that draws such a split records its rule.
    """
    fold, rest = options.fold, f"test={options.test_fraction:g} seed={seed}{rule}"
    drawn = f"{options.id} {f'folds={fold.of}' if fold else f'validation={options.val_fraction:g}'} {rest}"
    validation = f"{drawn} fold={fold.index}" if fold else drawn
    if "validation" in given:
        validation = f"{options.id} validation"
    if "test" in given:
        return Splits(validation, f"{options.id} test")
    return Splits(validation, drawn if options.test_fraction else None)
