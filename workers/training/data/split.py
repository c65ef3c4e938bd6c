"""Dividing a data set into training, validation and test images: stratified by class, drawn from the seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.errors import InvalidData
from service.core.spec import Dataset
from workers.training.seeds import generator

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Split:
    """Indices (int64, ascending) into the data set; no index is in two of them."""

    train: Tensor
    validation: Tensor
    test: Tensor

    def digests(self) -> dict[str, str]:
        """SHA-256 of each part's indices."""
        return {name: hashlib.sha256(part.numpy().tobytes()).hexdigest() for name, part in vars(self).items()}

    def to_dict(self) -> dict[str, list[int]]:
        return {name: part.tolist() for name, part in vars(self).items()}


def stratified_split(
    labels: Tensor, options: Dataset, seed: int | None, given: Tensor | None = None, copies: Tensor | None = None,
    classes: Sequence[str] = (),
) -> Split:  # fmt: skip
    """Split int64 labels [N]. Of each class, its share goes to validation and test, at least one image to each part.

    `given` int8 [N]: the parts that a set comes divided into (0 train, 1 validation, 2 test); one that is missing there
    is drawn from those to train on. `copies` int64 [N]: for each image the first one that is nearly the same; it is put
    into that one's part, so that nothing is validated on that was trained on; not in a class that has too few images
    otherwise. `train_limit` then thins the training part alone, so that runs with different limits are scored on the
    same validation images. Raises InvalidData where a class has too few images.
    """
    random = generator(seed, "split")
    given = torch.zeros(len(labels), dtype=torch.int8) if given is None else given
    shares = [
        share if not (given == part).any() else 0.0
        for part, share in ((VALIDATION, options.val_fraction), (TEST, options.test_fraction))
    ]
    pool = given == TRAIN
    everything = torch.arange(len(labels))
    originals = everything if copies is None else _originals(labels, pool, copies, shares)
    drawn = pool & (originals == everything)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in torch.unique(labels):
        members = torch.nonzero((labels == label) & drawn).flatten()
        members = members[torch.randperm(len(members), generator=random)]
        name = classes[int(label)] if classes else str(int(label))
        for part, chosen in zip(parts, torch.split(members, _sizes(name, len(members), *shares)), strict=True):
            part.append(chosen)
    if copies is not None:
        parts = tuple(_with_copies(part, labels, originals, pool & ~drawn) for part in parts)
    train = torch.cat(_thinned(parts[TRAIN], options.train_limit))
    held_out = (torch.cat([*parts[part], torch.nonzero(given == part).flatten()]) for part in (VALIDATION, TEST))
    return Split(*(part.sort().values for part in (train, *held_out)))


def _originals(labels: Tensor, pool: Tensor, copies: Tensor, shares: Sequence[float]) -> Tensor:
    """For each image to train on the first one of those that is nearly the same, int64 [N]; itself for all others.

    In a class with too few originals for every part, each image is one.
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
    """How many members of a class go to training, validation and test."""
    needed = _parts_needed(validation_share, test_share)
    if members < needed:
        raise InvalidData(f"class {name!r} has {members} images, too few for every part of the split")
    validation = min(max(1, round(members * validation_share)), members - needed + 1) if validation_share else 0
    test = min(max(1, round(members * test_share)), members - validation - 1) if test_share else 0
    return [members - validation - test, validation, test]


def _with_copies(by_class: list[Tensor], labels: Tensor, originals: Tensor, copies: Tensor) -> list[Tensor]:
    """These images, each class in its order, followed by those of the `copies` (bool [N]) whose originals they are,
    which may be of another class.
    """
    chosen = torch.cat(by_class)
    everything = torch.cat([chosen, torch.nonzero(copies & torch.isin(originals, chosen)).flatten()])
    return [everything[labels[everything] == label] for label in torch.unique(labels)]


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int | None) -> Tensor:
    """At most `size` of the given indices, ascending, the classes in proportion; drawn from the seed."""
    random = generator(seed, "subset")
    shuffled = indices[torch.randperm(len(indices), generator=random)]
    by_class = [shuffled[labels[shuffled] == label] for label in torch.unique(labels[shuffled])]
    return torch.cat(_thinned(by_class, size)).sort().values


def _thinned(by_class: list[Tensor], limit: int | None) -> list[Tensor]:
    """The first members of each class so that all together are `limit`, in proportion (largest remainders)."""
    total = sum(map(len, by_class))
    if limit is None or limit >= total:
        return by_class
    exact = [len(members) * limit / total for members in by_class]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: limit - sum(counts)]:
        counts[i] += 1
    return [members[:count] for members, count in zip(by_class, counts, strict=True)]
