"""Dividing a data set into training, validation and test images: stratified by class, drawn from the seed."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.errors import InvalidData
from service.core.spec import Dataset
from workers.training.seeds import generator


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


def stratified_split(labels: Tensor, options: Dataset, seed: int | None) -> Split:
    """Split int64 labels [N]. Of each class, its share goes to validation and test, at least one image to each part.

    `train_limit` then thins the training part alone, so that runs with different limits are scored on the same
    validation images. Raises InvalidData where a class has too few images.
    """
    random = generator(seed, "split")
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label in torch.unique(labels):
        members = torch.nonzero(labels == label).flatten()
        members = members[torch.randperm(len(members), generator=random)]
        parts_needed = 3 if options.test_fraction else 2
        if len(members) < parts_needed:
            raise InvalidData(f"class {int(label)} has {len(members)} images, too few for every part of the split")
        validation = min(max(1, round(len(members) * options.val_fraction)), len(members) - parts_needed + 1)
        test = round(len(members) * options.test_fraction)
        test = min(max(1, test), len(members) - validation - 1) if options.test_fraction else 0
        sizes = [len(members) - validation - test, validation, test]
        for part, chosen in zip(parts, torch.split(members, sizes), strict=True):
            part.append(chosen)
    train = _thinned(parts[0], options.train_limit)
    return Split(*(torch.cat(part).sort().values for part in (train, parts[1], parts[2])))


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
