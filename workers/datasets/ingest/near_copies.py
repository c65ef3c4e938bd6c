"""Groups of near copies among the images of one class: re-encoded, resized, brightened, or variants of one drawing.

Images are a group if they are linked by distances that are far smaller than the distances to every image outside
(single-linkage clusters that stand apart, after the ratio test of D. Lowe, "Distinctive image features from
scale-invariant keypoints", IJCV 2004). So likeness is measured by what is usual in the class: frames of a fixed camera
all resemble each other, and no two of them stand apart. A chain cannot grow: any two images of a group are nearer to
each other than to any image outside, and a group has a largest size.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.datasets.ingest.groups import root
from workers.datasets.ingest.likeness import Values
from workers.datasets.ingest.neighbours import Neighbours, nearest

APART = 0.6  # the largest link within a group, of the distance to the nearest image outside
FARTHEST_LINK = 0.6  # in units of `likeness`, where unrelated images are about 1.4 apart
MANY = 100  # images of a class; in smaller classes a gap proves less, so the farthest link is shorter
MOST_IN_A_GROUP = 32  # images
LARGEST_SHARE = 5  # a group has at most a fifth of the images of its class, and two images are always allowed

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class NearGroups:
    """The groups, each ascending, and `crowded`: images with links to more images than a group may have."""

    groups: list[Indices]
    crowded: Indices


def near_groups(points: Values) -> NearGroups:
    """Group the images of a class by their features, float32 [n, d]."""
    if len(points) < 3:  # noqa: PLR2004 - without a third image nothing is outside
        return NearGroups([], np.zeros(0, np.int64))
    neighbours = nearest(points, MOST_IN_A_GROUP)
    most = most_in_a_group(len(points))
    clusters = _Clusters(len(points))
    for one, other, length in _links(neighbours):
        clusters.join(one, other, length)
    groups = list[Indices]()
    is_taken = np.zeros(len(points), np.bool_)
    for members, longest in reversed(clusters.joined):
        chosen = np.sort(members)
        if len(chosen) <= most and not is_taken[chosen].any() and _stands_apart(points, neighbours, chosen, longest):
            groups.append(chosen)
            is_taken[chosen] = True
    return NearGroups(groups, np.asarray([i for i in clusters.crowded(most) if not is_taken[i]], np.int64))


def most_in_a_group(count: int) -> int:
    """The largest group of near copies in a class of `count` images."""
    return max(2, min(MOST_IN_A_GROUP, count // LARGEST_SHARE))


def _links(neighbours: Neighbours) -> Iterator[tuple[int, int, float]]:
    """Pairs that can be inside a group, the nearest first: a member's farthest neighbours are outside of its group."""
    count, k = neighbours.indices.shape
    farthest = np.where(np.isfinite(neighbours.distances), neighbours.distances, 0).max(1)
    ones, others = np.repeat(np.arange(count), k), neighbours.indices.ravel()
    lengths = neighbours.distances.ravel()
    usual = np.minimum(farthest[ones], farthest[others])
    limits = np.minimum(APART * usual, FARTHEST_LINK * min(1, math.log(count) / math.log(MANY)))
    chosen = np.nonzero((others >= 0) & (lengths <= limits))[0]
    chosen = chosen[lengths[chosen].argsort(kind="stable")]
    return zip(ones[chosen].tolist(), others[chosen].tolist(), lengths[chosen].tolist(), strict=True)


def _stands_apart(points: Values, neighbours: Neighbours, members: Indices, longest: float) -> bool:
    distances = neighbours.distances[members]
    is_outside = ~np.isin(neighbours.indices[members], members) & np.isfinite(distances)
    outside = np.where(is_outside, distances, np.inf).min()
    inside = np.square(points[members][:, None] - points[members]).sum(-1).max() ** 0.5
    return bool(longest <= APART * outside and inside <= outside)


@dataclass
class _Clusters:
    """Clusters that grow by links. `joined`: (members, longest link) of each cluster that existed, while small."""

    count: int
    joined: list[tuple[list[int], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._first = list(range(self.count))
        self._members: dict[int, list[int]] = {}

    def join(self, one: int, other: int, length: float) -> None:
        first, second = root(self._first, one), root(self._first, other)
        if first == second:
            return
        parts = sorted((self._members.pop(first, [first]), self._members.pop(second, [second])), key=len)
        members = parts[1] + parts[0] if sum(map(len, parts)) <= MOST_IN_A_GROUP else _extended(*parts)
        self._first[second] = first
        self._members[first] = members
        if len(members) <= MOST_IN_A_GROUP:
            self.joined.append((members, length))

    def crowded(self, most: int) -> Iterator[int]:
        """The members of clusters that are larger than `most`."""
        return (i for members in self._members.values() if len(members) > most for i in members)


def _extended(small: list[int], large: list[int]) -> list[int]:
    """The larger list with the smaller one added; a large list is in no other place, so it is not copied."""
    if len(large) <= MOST_IN_A_GROUP:
        return large + small
    large.extend(small)
    return large
