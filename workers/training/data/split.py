"""The split of a data set into training, validation and test images: stratified by class, drawn from the seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.errors import InvalidData
from service.core.spec import Dataset
from workers.training.data.images import ImageSet
from workers.training.seeds import generator

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Split:
    """Indices into the data set (int64, ascending). The parts are disjoint."""

    train: Tensor
    validation: Tensor
    test: Tensor

    def digests(self) -> dict[str, str]:
        """SHA-256 of the indices of each part, hexadecimal."""
        return {name: hashlib.sha256(part.numpy().tobytes()).hexdigest() for name, part in vars(self).items()}

    def to_dict(self) -> dict[str, list[int]]:
        return {name: part.tolist() for name, part in vars(self).items()}


def stratified_split(images: ImageSet, options: Dataset, seed: int | None) -> Split:
    """Split a set. Of each class, its share goes to validation and test, at least one image to each part.

    - A set with `parts` keeps them. If it has no validation or test part, the missing part is drawn from its training
      images.
    - Copies stay together: an image goes to the part of the first image that is nearly identical, so that no image is
      scored whose copy was trained on. In a class with too few originals, copies count as originals.
    - `train_limit` reduces the training part only, so that runs with different limits have the same validation images.

    Raises InvalidData if a class has too few images.
    """
    labels, copies = images.labels, images.copies
    given = torch.zeros(len(labels), dtype=torch.int8) if images.parts is None else images.parts
    pool, shares = given == TRAIN, _shares(given, options)
    everything = torch.arange(len(labels))
    originals = everything if copies is None else _originals(labels, pool, copies, shares)
    drawn = pool & (originals == everything)
    parts = _drawn_parts(images, drawn, shares, generator(seed, "split"))
    if copies is not None:
        parts = [_with_copies(part, labels, originals, pool & ~drawn) for part in parts]
    train = torch.cat(_thinned(parts[TRAIN], options.train_limit))
    held_out = (torch.cat([*parts[part], torch.nonzero(given == part).flatten()]) for part in (VALIDATION, TEST))
    return Split(*(part.sort().values for part in (train, *held_out)))


def _shares(given: Tensor, options: Dataset) -> list[float]:
    """The shares to draw for validation and test; 0 for a part that the set has already."""
    shares = ((VALIDATION, options.val_fraction), (TEST, options.test_fraction))
    return [0.0 if (given == part).any() else share for part, share in shares]


def _drawn_parts(
    images: ImageSet, drawn: Tensor, shares: Sequence[float], random: torch.Generator
) -> list[list[Tensor]]:
    """For training, validation and test: the indices by class, drawn from the images in `drawn`, bool [N]."""
    parts: list[list[Tensor]] = [[], [], []]
    for label in torch.unique(images.labels):
        members = torch.nonzero((images.labels == label) & drawn).flatten()
        members = members[torch.randperm(len(members), generator=random)]
        sizes = _sizes(images.classes[int(label)], len(members), *shares)
        for part, chosen in zip(parts, torch.split(members, sizes), strict=True):
            part.append(chosen)
    return parts


def _originals(labels: Tensor, pool: Tensor, copies: Tensor, shares: Sequence[float]) -> Tensor:
    """int64 [N]: for each image in `pool` (bool [N]) the first one in it that is nearly identical; else its own index.

    In a class with too few originals for all parts, every image is its own original.
    """
    everything = torch.arange(len(labels))
    first = torch.full_like(everything, len(labels)).scatter_reduce(0, copies[pool], everything[pool], "amin")
    originals = torch.where(pool, first[copies], everything)
    needed = _parts_needed(*shares)
    for label in torch.unique(labels):
        members = pool & (labels == label)
        if int((members & (originals == everything)).sum()) < needed:
            originals = torch.where(members, everything, originals)
    return originals


def _parts_needed(validation_share: float, test_share: float) -> int:
    return 1 + (validation_share > 0) + (test_share > 0)


def _sizes(name: str, members: int, validation_share: float, test_share: float) -> list[int]:
    """How many of the `members` of a class go to training, validation and test."""
    needed = _parts_needed(validation_share, test_share)
    if members < needed:
        raise InvalidData(f"class {name!r} has {members} images; the split needs at least {needed} of each class")
    validation = min(max(1, round(members * validation_share)), members - needed + 1) if validation_share else 0
    test = min(max(1, round(members * test_share)), members - validation - 1) if test_share else 0
    return [members - validation - test, validation, test]


def _with_copies(by_class: list[Tensor], labels: Tensor, originals: Tensor, copies: Tensor) -> list[Tensor]:
    """The images of a part by class, with those of `copies` (bool [N]) whose originals are in the part.

    A copy can have another class than its original. In each class the copies come last.
    """
    chosen = torch.cat(by_class)
    everything = torch.cat([chosen, torch.nonzero(copies & torch.isin(originals, chosen)).flatten()])
    return [everything[labels[everything] == label] for label in torch.unique(labels)]


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int | None) -> Tensor:
    """At most `size` of the indices int64 [n], ascending, with the classes in proportion; drawn from the seed."""
    random = generator(seed, "subset")
    shuffled = indices[torch.randperm(len(indices), generator=random)]
    by_class = [shuffled[labels[shuffled] == label] for label in torch.unique(labels[shuffled])]
    return torch.cat(_thinned(by_class, size)).sort().values


def _thinned(by_class: list[Tensor], limit: int | None) -> list[Tensor]:
    """The first members of each class, in total `limit`, in proportion to the classes (largest remainders)."""
    total = sum(map(len, by_class))
    if limit is None or limit >= total:
        return by_class
    exact = [len(members) * limit / total for members in by_class]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: limit - sum(counts)]:
        counts[i] += 1
    return [members[:count] for members, count in zip(by_class, counts, strict=True)]
