"""The split of a data set into training, validation and test images: stratified by class, drawn from the seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.errors import InvalidData
from service.core.records.part_sizes import PartSizes, part_sizes, parts_needed
from service.core.spec import Dataset
from workers.training.data.grouped import divide
from workers.training.data.images import ImageSet
from workers.training.seeds import generator

TRAIN, VALIDATION, TEST = 0, 1, 2
FEW_POINTS = 0.05  # of a class; a share that is missed by more is corrected


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


@dataclass(frozen=True)
class Division:
    """A split, and notes where it differs from what the spec asks for."""

    split: Split
    notes: tuple[str, ...] = ()


def stratified_split(images: ImageSet, options: Dataset, seed: int | None) -> Split:
    """The split of `divided`. Raises InvalidData if a class has too few images."""
    return divided(images, options, seed).split


def divided(images: ImageSet, options: Dataset, seed: int | None) -> Division:
    """Split a set. Of each class, its share goes to validation and test, at least one image to each part.

    - A set with `parts` keeps them. If it has no validation or test part, the missing part is drawn from its training
      images.
    - Images of one group stay together, so that no image is scored whose copy was trained on. If a class then misses
      its share by more than FEW_POINTS, its groups of copies are divided, the large ones first. The groups of a label
      file are never divided; a note says how far a class is from its share then.
    - `train_limit` reduces the training part only, so that runs with different limits have the same validation images.

    Raises InvalidData if a class has too few images, or if the groups leave a part without any image.
    """
    given = torch.zeros(len(images), dtype=torch.int8) if images.parts is None else images.parts
    pool = torch.nonzero(given == TRAIN).flatten()
    labels, sizes = images.labels[pool], _sizes(images, given, pool, options)
    groups = pool if images.copies is None else images.copies[pool]
    whole = pool if images.groups is None else images.groups[pool]
    drawn, notes = _drawn(labels, groups, whole, sizes, seed, images.classes)
    _refuse_empty(drawn, sizes)
    order = generator(seed, "split")
    by_class = [pool[m[torch.randperm(len(m), generator=order)]] for m in _members_by_class(labels)]
    parts = torch.full_like(given, -1)
    parts[pool] = drawn
    train = torch.cat(thinned([members[parts[members] == TRAIN] for members in by_class], options.train_limit))
    held_out = (torch.nonzero((parts == part) | (given == part)).flatten() for part in (VALIDATION, TEST))
    return Division(Split(train.sort().values, *held_out), notes)


def _sizes(images: ImageSet, given: Tensor, pool: Tensor, options: Dataset) -> dict[int, PartSizes]:
    """The wanted sizes of the parts, by class. Raises InvalidData if a class has too few images."""
    shares = drawn_shares(given, options)
    counts = torch.bincount(images.labels[pool], minlength=len(images.classes)).tolist()
    present = torch.unique(images.labels).tolist()
    for label in present:
        refuse_few(images.classes[label], counts[label], shares)
    return {label: part_sizes(counts[label], *shares) for label in present}


def drawn_shares(given: Tensor, options: Dataset) -> tuple[float, float]:
    """The shares to draw for validation and test; 0 for a part that the set has already (`given` int8 [N])."""
    validation, test = ((given == part).any() for part in (VALIDATION, TEST))
    return 0.0 if validation else options.val_fraction, 0.0 if test else options.test_fraction


def refuse_few(name: str, images: int, shares: tuple[float, float]) -> None:
    """Raise InvalidData if the class `name` has fewer images than there are parts to draw."""
    needed = parts_needed(*shares)
    if images < needed:
        raise InvalidData(f"class {name!r} has {images} images; the split needs at least {needed} of each class")


def _drawn(
    labels: Tensor, groups: Tensor, whole: Tensor, sizes: dict[int, PartSizes], seed: int | None, names: Sequence[str]
) -> tuple[Tensor, tuple[str, ...]]:
    """The part of each image, int8 [n], and notes on the classes that miss their shares with whole groups.

    A group of `groups` int64 [n] that is divided falls into its groups of `whole` int64 [n].
    """
    apart, notes = -1 - whole, dict[int, str]()
    for least in (FEW_POINTS, 0.0):
        parts = divide(labels, groups, sizes, generator(seed, "split"))
        if not (missed := _missed(parts, labels, sizes)):
            return parts, tuple(notes.values())
        divisible = _divisible(groups, whole)
        for label, (part, count) in missed.items():
            members = labels == label
            large = _large(groups[members], divisible, least * int(members.sum()))
            if len(large):
                notes.setdefault(label, _note(names[label], sizes[label], part, count))
                groups = torch.where(torch.isin(groups, large), apart, groups)
    parts = divide(labels, groups, sizes, generator(seed, "split"))
    kept = (_note_of_whole(names[c], sizes[c], *missed) for c, missed in _missed(parts, labels, sizes).items())
    return parts, (*notes.values(), *kept)


def _refuse_empty(parts: Tensor, sizes: dict[int, PartSizes]) -> None:
    for part, name in enumerate(PartSizes._fields):
        if any(wanted[part] for wanted in sizes.values()) and not (parts == part).any():
            raise InvalidData(
                f"the groups of the label file are too few or too large: no image is left for the part {name}; "
                "each part needs at least one group"
            )


def _missed(parts: Tensor, labels: Tensor, sizes: dict[int, PartSizes]) -> dict[int, tuple[int, int]]:
    """By class, the part that misses its size by the most and its images, if by more than FEW_POINTS or to nothing."""
    missed = {}
    for label, wanted in sizes.items():
        counts = torch.bincount(parts[labels == label].long(), minlength=len(wanted)).tolist()
        part = max(reversed(range(len(wanted))), key=lambda p: abs(counts[p] - wanted[p]))
        is_far = abs(counts[part] - wanted[part]) > max(1, FEW_POINTS * sum(wanted))
        if is_far or any(size and not count for size, count in zip(wanted, counts, strict=True)):
            missed[label] = part, counts[part]
    return missed


def _large(groups: Tensor, divisible: Tensor, least: float) -> Tensor:
    """The divisible groups of two or more, and of more than `least` images."""
    numbers, counts = torch.unique(groups, return_counts=True)
    large: Tensor = numbers[(counts > 1) & (counts > least) & torch.isin(numbers, divisible)]
    return large


def _divisible(groups: Tensor, whole: Tensor) -> Tensor:
    """The groups with images of several groups of `whole` int64 [n]; a group of a label file alone stays whole."""
    pairs = torch.unique(torch.stack([groups, whole]), dim=1)
    numbers, counts = torch.unique(pairs[0], return_counts=True)
    divisible: Tensor = numbers[counts > 1]
    return divisible


def _note(name: str, wanted: PartSizes, part: int, count: int) -> str:
    return (
        f"class {name!r}: with all copies on one side, {count} of its {sum(wanted)} images would be in the part "
        f"{PartSizes._fields[part]}, where the spec asks for {wanted[part]}. Groups of its copies are divided."
    )


def _note_of_whole(name: str, wanted: PartSizes, part: int, count: int) -> str:
    return (
        f"class {name!r}: {count} of its {sum(wanted)} images are in the part {PartSizes._fields[part]}, where the "
        f"spec asks for {wanted[part]}: the groups of the label file stay whole."
    )


def _members_by_class(labels: Tensor) -> list[Tensor]:
    return [torch.nonzero(labels == label).flatten() for label in torch.unique(labels)]


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int | None) -> Tensor:
    """At most `size` of the indices int64 [n], ascending, with the classes in proportion; drawn from the seed."""
    random = generator(seed, "subset")
    shuffled = indices[torch.randperm(len(indices), generator=random)]
    by_class = [shuffled[labels[shuffled] == label] for label in torch.unique(labels[shuffled])]
    return torch.cat(thinned(by_class, size)).sort().values


def thinned(by_class: list[Tensor], limit: int | None) -> list[Tensor]:
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
