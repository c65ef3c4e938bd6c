"""Warnings about a data set before training: copies, constant images, classes of unequal size."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.text import counted, first_of
from workers.datasets.ingest.copies import Copies
from workers.datasets.ingest.folder_words import PART_NAMES
from workers.datasets.ingest.near_copies import most_in_a_group
from workers.datasets.ingest.prints import MOST_COMPARED

UNEVEN = 5  # largest class to smallest one
PARTS_OF_A_SPLIT = 3
SHOWN = 3  # names in a warning

Columns = NDArray[np.int64]


@dataclass(frozen=True)
class Checked:
    """A set to check: the name, label and part of each image (None: the set is not divided), and what was found."""

    names: Sequence[str]
    classes: Sequence[str]
    labels: Columns
    parts: Columns | None
    copies: Copies
    constant: Sequence[int]


def warnings(checked: Checked) -> Iterator[str]:
    """Warnings about a data set, the worst first."""
    exact = checked.copies.exact
    yield from _copies(checked, np.nonzero(exact != np.arange(len(exact)))[0], exact, "exact duplicates")
    yield from _copies(checked, checked.copies.near, checked.copies.groups, "near duplicates")
    yield from _conflicts(checked)
    yield from _crowded(checked)
    yield from _few_originals(checked)
    if len(checked.names) > MOST_COMPARED:
        yield f"near duplicates were not searched: the set has more than {MOST_COMPARED:,} images."
    if checked.constant:
        count = counted(len(checked.constant), "image")
        yield f"of a single colour: {count}, {_some(checked.names, checked.constant)}."
    counts = np.bincount(checked.labels, minlength=len(checked.classes))
    if counts.max() >= UNEVEN * counts.min():
        least, most = int(counts.argmin()), int(counts.argmax())
        yield (
            f"the classes are uneven: {checked.classes[most]!r} has {counted(int(counts[most]), 'image')} and "
            f"{checked.classes[least]!r} has {counts[least]}; regularization.class_weights balanced corrects for this."
        )


def _copies(checked: Checked, later: Columns, first: Columns, what: str) -> Iterator[str]:
    """The images `later` are copies of the images `first[later]`."""
    if not len(later):
        return
    names, parts = checked.names, checked.parts
    pair = f"such as {names[later[0]]} of {names[first[later[0]]]}"
    kept = "" if parts is not None else "; the split keeps copies together, unless a group is too large for one part"
    yield f"{what}: {counted(len(later), 'image')}, {pair}{kept}."
    if parts is None:
        return
    members: dict[int, set[int]] = defaultdict(set)
    for i, original in enumerate(first.tolist()):
        members[original].add(int(parts[i]))
    leaks = [i for i in later.tolist() if len(members[int(first[i])]) > 1]
    if leaks:
        between = " and ".join(PART_NAMES[part] for part in sorted(members[int(first[leaks[0]])]))
        yield (
            f"{len(leaks)} {what} are in two parts of the split, such as {names[leaks[0]]} ({between}): the scores "
            "will be better than the model really is."
        )


def _conflicts(checked: Checked) -> Iterator[str]:
    """Copies of another class than their originals: exact ones have a wrong label, near ones perhaps."""
    names, labels, exact = checked.names, checked.labels, checked.copies.exact
    conflicts = np.nonzero(labels != labels[exact])[0]
    if len(conflicts):
        one = conflicts[0]
        yield (
            f"exact duplicates of another class than their original: {counted(len(conflicts), 'image')}, such as "
            f"{names[one]} of {names[exact[one]]}: one of the labels is wrong."
        )
    if pairs := checked.copies.across:
        one, other = pairs[0]
        yield (
            f"images of two classes that resemble each other closely: {counted(len(pairs), 'pair')}, such as "
            f"{names[other]} and {names[one]}: one of the labels may be wrong. They are not kept together in the split."
        )


def _crowded(checked: Checked) -> Iterator[str]:
    counts = np.bincount(checked.labels, minlength=len(checked.classes))
    crowded = np.bincount(checked.labels[checked.copies.crowded], minlength=len(checked.classes))
    if not crowded.any():
        return
    label = int(crowded.argmax())
    yield (
        f"class {checked.classes[label]!r} has {crowded[label]} images that resemble each other in a chain of more "
        f"than {most_in_a_group(int(counts[label]))} images. They are not treated as copies and can be in different "
        "parts of the split. If they are frames of one film, send folders train and val that you divided yourself."
    )


def _few_originals(checked: Checked) -> Iterator[str]:
    groups = checked.copies.groups
    distinct = np.bincount(checked.labels[groups == np.arange(len(groups))], minlength=len(checked.classes))
    if checked.parts is None and (poor := [i for i, count in enumerate(distinct) if count < PARTS_OF_A_SPLIT]):
        yield (
            f"class {checked.classes[poor[0]]!r} has {counted(int(distinct[poor[0]]), 'original')}, too few to keep "
            "copies in one part of the split: the scores will be better than the model really is."
        )


def _some(names: Sequence[str], indices: Sequence[int]) -> str:
    return first_of((names[i] for i in indices), SHOWN)
