"""The nearest neighbours of each image among others, by the distance of their features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.datasets.ingest.likeness import Values

SAMPLE = 4096  # images that estimate how far the neighbours of an image are
SPARE = 8  # neighbours in the sample, at least, within the estimated distance
CELLS = 1 << 22  # distances at a time, 16 MiB


@dataclass(frozen=True)
class Neighbours:
    """`indices` int64 [n, k] and `distances` float32 [n, k], the nearest first. Missing ones: -1 and infinity."""

    indices: NDArray[np.int64]
    distances: Values


def nearest(points: Values, most: int) -> Neighbours:
    """The `most` nearest others of each point, float32 [n, d], or all others in a smaller set."""
    k = min(most, len(points) - 1)
    indices = np.full((len(points), k), -1, np.int64)
    distances = np.full((len(points), k), np.inf, np.float32)
    sample = _sample(len(points))
    in_sample = min(len(sample) - 1, SPARE * (len(sample) < len(points)) + -(-k * len(sample) // len(points)))
    left, right = _factors(points, points)
    rows = max(1, CELLS // len(points))
    for start in range(0, len(points), rows):
        block = slice(start, start + rows)
        table = left[block] @ right
        table[np.arange(len(table)), np.arange(start, start + len(table))] = np.inf
        limits = np.partition(table[:, sample], in_sample, axis=1)[:, in_sample]
        _keep_nearest(table, limits, indices[block], distances[block])
    squares = np.square(points).sum(1)[:, None]
    return Neighbours(indices, np.sqrt(np.maximum(distances + squares, 0)))


def _factors(points: Values, others: Values) -> tuple[Values, Values]:
    """[n, d + 1] and [d + 1, m], whose product is the squared distances without the squared lengths of the points."""
    left = np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)
    right = np.concatenate([-2 * others, np.square(others).sum(1)[:, None]], axis=1).T
    return left, np.ascontiguousarray(right)


def _sample(count: int) -> NDArray[np.int64]:
    if count <= SAMPLE:
        return np.arange(count)
    return np.random.default_rng(0).choice(count, SAMPLE, replace=False)


def _keep_nearest(table: Values, limits: Values, indices: NDArray[np.int64], distances: Values) -> None:
    """Fill a block [b, k] of neighbours from the values of a table [b, n] up to the limits [b]."""
    rows, columns = np.nonzero(table <= limits[:, None])
    values = table[rows, columns]
    order = np.lexsort((values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.searchsorted(rows, np.arange(len(table)))
    rank = np.arange(len(rows)) - first[rows]
    kept = (rank < indices.shape[1]) & np.isfinite(values)
    indices[rows[kept], rank[kept]] = columns[kept]
    distances[rows[kept], rank[kept]] = values[kept]


def across(points: Values, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], Values]:
    """The nearest image of another label for each point, int64 [n], and its distance, float32 [n]."""
    squares = np.square(points).sum(1)
    indices, distances = np.zeros(len(points), np.int64), np.zeros(len(points), np.float32)
    for label in np.unique(labels):
        members, others = np.nonzero(labels == label)[0], np.nonzero(labels != label)[0]
        left, right = _factors(points[members], points[others])
        blocks = np.array_split(np.arange(len(members)), -(-len(members) * len(others) // CELLS))
        for block in blocks:
            table, some = left[block] @ right, members[block]
            closest = table.argmin(1)
            indices[some] = others[closest]
            distances[some] = np.sqrt(np.maximum(table[np.arange(len(some)), closest] + squares[some], 0))
    return indices, distances
