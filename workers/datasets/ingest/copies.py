"""Copies in a set: exact ones, and near ones within each class."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.datasets.ingest.groups import join, roots
from workers.datasets.ingest.likeness import Values, features, is_faint
from workers.datasets.ingest.near_copies import APART, near_groups
from workers.datasets.ingest.neighbours import across
from workers.datasets.ingest.prints import Prints

MOST_ACROSS = 20_000  # images; near copies of other classes, which are only named, are not searched in larger sets
NEAR_ACROSS = 0.2  # in units of `likeness`; only very similar images of two classes are named

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """`exact` int64 [N]: for each image the first one with the same pixels. `groups` int64 [N]: the first one of its
    group, which holds its exact and its near copies. `across` are pairs of near copies of two classes, which are not
    grouped. `crowded` int64 [n] are images that resemble more images of their class than copies may.
    """

    exact: Indices
    groups: Indices
    across: list[tuple[int, int]] = field(default_factory=list)
    crowded: Indices = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def near(self) -> Indices:
        """int64 [n]: the images that are only near copies of the first image of their group."""
        everything = np.arange(len(self.groups))
        return np.nonzero((self.exact == everything) & (self.groups != everything))[0]


def find(prints: Prints, labels: Indices) -> Copies:
    """Find the copies among images with these labels, int64 [N]."""
    first: dict[bytes, int] = {}
    exact = np.asarray([first.setdefault(digest, i) for i, digest in enumerate(prints.digests)], np.int64)
    compared = _compared(prints, exact, labels)
    if len(compared) < 2:  # noqa: PLR2004 - a pair
        return Copies(exact, exact)
    points, own = features(prints, compared), labels[compared]
    first_of_group, crowded = exact.tolist(), [np.zeros(0, np.int64)]
    for label in np.unique(own):
        members = np.nonzero(own == label)[0]
        near = near_groups(points[members])
        for group in near.groups:
            join(first_of_group, compared[members[group]].tolist())
        crowded.append(compared[members[near.crowded]])
    pairs = _across(points, own) if len(compared) <= MOST_ACROSS else []
    groups = roots(first_of_group)
    return Copies(exact, groups, [(int(compared[i]), int(compared[j])) for i, j in pairs], np.concatenate(crowded))


def _compared(prints: Prints, exact: Indices, labels: Indices) -> Indices:
    """The images to compare: those that show something, of exact copies the first one of each class."""
    if not prints.are_compared:
        return np.zeros(0, np.int64)
    _, distinct = np.unique(np.stack([exact, labels]), axis=1, return_index=True)
    return np.sort(distinct[~is_faint(prints)[distinct]])


def _across(points: Values, labels: Indices) -> list[tuple[int, int]]:
    """Pairs of images of two classes that are nearer to each other than to the usual images of their classes."""
    if len(np.unique(labels)) < 2:  # noqa: PLR2004 - no other class
        return []
    others, distances = across(points, labels)
    usual = np.full(len(points), np.inf, np.float32)
    for label in np.unique(labels):
        members = np.nonzero(labels == label)[0]
        usual[members] = _usual(points[members])
    limits = np.minimum(NEAR_ACROSS, APART * np.minimum(usual, usual[others]))
    near = np.nonzero((distances > 0) & (distances <= limits))[0]
    return sorted({(min(i, j), max(i, j)) for i, j in zip(near.tolist(), others[near].tolist(), strict=True)})


def _usual(points: Values) -> Values:
    """The distance of each image to the centre of its class, float32 [n]."""
    distances: Values = np.sqrt(np.square(points - points.mean(0)).sum(1))
    return distances
