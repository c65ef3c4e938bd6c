"""A stratified division of images in groups: no group is in two parts, and each class is near its sizes.

Groups go to parts at random, the largest first, each where it fits. Groups that fit nowhere go where they fit best.
Then groups move one by one while that brings the classes nearer to their sizes. Images without a group come last and
fill each class up to its exact sizes. For the idea of dividing rare and large units first, see K. Sechidis et al., "On
the Stratification of Multi-Label Data", ECML PKDD 2011.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

PASSES = 10  # over all groups, to improve an attempt
ATTEMPTS, MOST_MOVES = 50, 50_000  # divisions that are tried, and groups in all of them

Counts = dict[int, int]  # images of a group by class
Sizes = Mapping[int, Sequence[int]]  # images of each part by class


class Tally:
    """The images of each class that each part lacks; negative where it has too many."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.lacking = {label: list(size) for label, size in sizes.items()}
        every = range(count_parts(sizes))
        self.parts = [part for part in every if any(size[part] for size in sizes.values())]
        self.filled = (*every[1:], 0)  # the parts in the order in which images without a group fill them

    def add(self, part: int, counts: Counts, sign: int = 1) -> None:
        """Put a group into a part; `sign` -1 takes it out."""
        for label, count in counts.items():
            self.lacking[label][part] -= sign * count

    def cost(self, labels: Iterable[int]) -> int:
        """The images of these classes above the sizes of their parts, and the whole class for each part that
        needs images of it and stays without.
        """
        total = 0
        for label in labels:
            lacking = self.lacking[label]
            if min(lacking) < 0:  # otherwise the images that are not assigned yet fill all parts
                total -= sum(room for room in lacking if room < 0)
                total += self._empty_parts(label) * sum(self.sizes[label])
        return total

    def _empty_parts(self, label: int) -> int:
        """The parts that have no image of a class, and get none of the images that are not assigned yet."""
        lacking, sizes, empty = self.lacking[label], self.sizes[label], 0
        free = sum(lacking)
        for part in self.filled:
            if free <= 0 and lacking[part] == sizes[part] > 0:
                empty += 1
            free -= max(0, lacking[part])
        return empty

    def room(self, part: int, counts: Counts) -> int:
        """The images that the part lacks of the classes of a group, 0 if the group does not fit."""
        lacking = [self.lacking[label][part] for label in counts]
        return sum(lacking) if all(room >= n for room, n in zip(lacking, counts.values(), strict=True)) else 0


def count_parts(sizes: Sizes) -> int:
    """The number of parts, at most 127: every class has as many sizes."""
    return len(next(iter(sizes.values())))


def divide(labels: Tensor, groups: Tensor, sizes: Sizes, random: torch.Generator) -> Tensor:
    """The part of each image, int8 [n]. Part 0 gets the images that no other part lacks.

    labels int64 [n], groups int64 [n] (images of one number stay together), `sizes` the sizes of the parts by class.
    """
    order = torch.cat([_shuffled(members, random) for members in members_by_class(labels)])
    by_group, names = _members(groups, random), labels.tolist()
    assigned, tally = _assigned([Counter(names[i] for i in group) for group in by_group], sizes, random)
    parts = torch.full_like(labels, -1, dtype=torch.int8)
    of_group = ((i, part) for group, part in zip(by_group, assigned, strict=True) for i in group)
    indices, chosen = torch.tensor(list(of_group), dtype=torch.int64).reshape(-1, 2).unbind(1)
    parts[indices] = chosen.to(torch.int8)
    _fill(parts, labels, order[parts[order] < 0], tally)
    return parts


def members_by_class(labels: Tensor) -> list[Tensor]:
    """The indices of each class that occurs in int64 [n], ascending, by one sort."""
    counts = torch.bincount(labels)
    return list(torch.split(labels.argsort(stable=True), counts[counts > 0].tolist()))


def _shuffled(indices: Tensor, random: torch.Generator) -> Tensor:
    return indices[torch.randperm(len(indices), generator=random)]


def _members(groups: Tensor, random: torch.Generator) -> list[list[int]]:
    """The images of each group of two or more, the largest group first, equal ones in random order."""
    _, inverse, counts = torch.unique(groups, return_inverse=True, return_counts=True)
    order, ends = inverse.argsort(stable=True).tolist(), counts.cumsum(0).tolist()
    several = [order[end - size : end] for end, size in zip(ends, counts.tolist(), strict=True) if size > 1]
    shuffled = [several[i] for i in torch.randperm(len(several), generator=random).tolist()] if several else []
    return sorted(shuffled, key=len, reverse=True)


def _assigned(counts: list[Counts], sizes: Sizes, random: torch.Generator) -> tuple[list[int], Tally]:
    """The part of each group, and what the parts lack then: the best of some attempts."""
    attempts = range(max(1, min(ATTEMPTS, MOST_MOVES // max(1, len(counts)))))
    best, least = (list[int](), Tally(sizes)), math.inf
    for _ in attempts if counts else ():
        tally = Tally(sizes)
        assigned = _attempt(counts, tally, random)
        if (cost := tally.cost(sizes)) < least:
            best, least = (assigned, tally), cost
        if least <= len(sizes):
            break
    return best


def _attempt(counts: list[Counts], tally: Tally, random: torch.Generator) -> list[int]:
    assigned = []
    draws = torch.rand(len(counts), generator=random, dtype=torch.float64).tolist()
    for group, draw in zip(counts, draws, strict=True):
        part = _chosen(group, tally, draw)
        tally.add(part, group)
        assigned.append(part)
    for _ in range(PASSES):
        moved = [_improve(i, counts[i], assigned, tally) for i in reversed(range(len(counts)))]
        if not any(moved):
            break
    return assigned


def _chosen(group: Counts, tally: Tally, draw: float) -> int:
    """A part where the group fits, with a probability by the images that it lacks, or the best of the others."""
    rooms = [tally.room(part, group) for part in tally.parts]
    if not any(rooms):
        return max(tally.parts, key=lambda part: min(tally.lacking[label][part] - n for label, n in group.items()))
    reached = (part for part, total in zip(tally.parts, accumulate(rooms), strict=True) if draw * sum(rooms) < total)
    return next(reached)


def _improve(i: int, group: Counts, assigned: list[int], tally: Tally) -> bool:
    """Move the group to the part that brings its classes nearest to their sizes; whether it moved."""
    before, home = tally.cost(group), assigned[i]
    if not before:
        return False
    costs = {}
    tally.add(home, group, -1)
    for part in tally.parts:
        tally.add(part, group)
        costs[part] = tally.cost(group)
        tally.add(part, group, -1)
    best = min(tally.parts, key=costs.__getitem__)
    assigned[i] = best if costs[best] < before else home
    tally.add(assigned[i], group)
    return assigned[i] != home


def _fill(parts: Tensor, labels: Tensor, singles: Tensor, tally: Tally) -> None:
    """Give the images without a group, int64 [m] in random order, to the parts that lack them; part 0 gets the rest."""
    for members in members_by_class(labels[singles]):
        own = singles[members]
        lacking, rest = tally.lacking[int(labels[own[0]])], len(own)
        counts = [0] * len(lacking)
        for part in range(1, len(lacking)):
            counts[part] = min(rest, max(0, lacking[part]))
            rest -= counts[part]
        counts[0] = rest
        for part, chosen in enumerate(torch.split(own, counts)):
            parts[chosen] = part
