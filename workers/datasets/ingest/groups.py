"""Groups of images that stay on one side of the split: copies, and groups that the user names."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Columns = NDArray[np.int64]


def merged(copies: Columns, groups: Sequence[str]) -> Columns:
    """Join the groups of copies and those of the user, which overlap: int64 [N], for each image the first one of its
    group. `copies`: int64 [N] of the same kind. `groups`: the name of each image's group, empty where it has none.
    """
    first = copies.tolist()
    named: dict[str, int] = {}
    for i, group in enumerate(groups):
        if group:
            join(first, (i, named.setdefault(group, i)))
    return roots(first)


def sizes(groups: Columns) -> dict[int, int]:
    """The number of groups of each size above 1."""
    counts = Counter(Counter(groups.tolist()).values())
    return {size: count for size, count in sorted(counts.items()) if size > 1}


def join(first: list[int], images: Iterable[int]) -> None:
    """Join the groups of these images. `first` leads from each image, step by step, to the first of its group."""
    heads = sorted({root(first, i) for i in images})
    for head in heads:
        first[head] = heads[0]


def root(first: list[int], i: int) -> int:
    """The end of the steps from image i. It halves the path, so that the next search is shorter."""
    while first[i] != i:
        first[i] = first[first[i]]
        i = first[i]
    return i


def roots(first: list[int]) -> Columns:
    """int64 [N]: for each image the first one of its group."""
    return np.asarray([root(first, i) for i in range(len(first))], np.int64)
