"""Groups of images that stay on one side of the split: copies, and groups that the user names."""

from collections import Counter
from collections.abc import Sequence

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
            one, other = sorted((_root(first, i), _root(first, named.setdefault(group, i))))
            first[other] = one
    return np.asarray([_root(first, i) for i in range(len(first))], np.int64)


def sizes(groups: Columns) -> dict[int, int]:
    """The number of groups of each size above 1."""
    counts = Counter(Counter(groups.tolist()).values())
    return {size: count for size, count in sorted(counts.items()) if size > 1}


def _root(first: list[int], i: int) -> int:
    while first[i] != i:
        first[i] = first[first[i]]
        i = first[i]
    return i
