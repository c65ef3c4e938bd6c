"""The split of a data set into training, validation and test images: stratified by class, drawn from the seed."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from service.core.errors import InvalidData
from service.core.records.part_sizes import PartSizes, fold_sizes, part_sizes, parts_needed
from service.core.spec import Dataset, Fold
from service.core.text import counted
from workers.training.data.grouped import Sizes, count_parts, divide, members_by_class
from workers.training.data.images import ImageSet
from workers.training.seeds import generator

TRAIN, VALIDATION, TEST = 0, 1, 2
FEW_POINTS = 0.05  # of a class; a share that is missed by more is corrected
MOST_NOTES = 10  # on single classes


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
    """A split, and notes for the user where it differs from what the spec asks for."""

    split: Split
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """The parts that the spec asks for: their names, and by class their sizes."""

    names: tuple[str, ...]
    sizes: Sizes


def divided(images: ImageSet, options: Dataset, seed: int | None) -> Division:
    """Split a set. Of each class, its share goes to validation and test, at least one image to each part.

    - A set with `parts` keeps them. If it has no validation or test part, the missing part is drawn from its training
      images.
    - Images of one group stay together, so that no image is scored whose copy was trained on. If a class then misses
      its share by more than FEW_POINTS, its groups of copies are divided, the large ones first. The groups of a
      label file are never divided. Notes say how far the split is from what the spec asks for then.
    - A fold of the spec is drawn with all other folds, which are the same for each of them. It validates.
    - `train_limit` reduces the training part only, so that runs with different limits have the same validation images.

    Raises InvalidData if a class has too few images, or if the groups leave a part without any image.
    """
    given = torch.zeros(len(images), dtype=torch.int8) if images.parts is None else images.parts
    pool = torch.nonzero(given == TRAIN).flatten()
    labels, asked = images.labels[pool], _asked(images, given, pool, options)
    groups = pool if images.copies is None else images.copies[pool]
    whole = pool if images.groups is None else images.groups[pool]
    drawn, notes = _drawn(labels, groups, whole, asked, seed, images.classes)
    _refuse_empty(drawn, asked)
    order = generator(seed, "split")
    by_class = [pool[m[torch.randperm(len(m), generator=order)]] for m in members_by_class(labels)]
    parts = torch.full_like(given, -1)
    parts[pool] = _validated_by(options.fold, drawn) if options.fold else drawn
    train = torch.cat(thinned([members[parts[members] == TRAIN] for members in by_class], options.train_limit))
    held_out = (torch.nonzero((parts == part) | (given == part)).flatten() for part in (VALIDATION, TEST))
    return Division(Split(train.sort().values, *held_out), notes)


def _asked(images: ImageSet, given: Tensor, pool: Tensor, options: Dataset) -> Asked:
    """The parts that the spec asks for. Raises InvalidData if a class has too few images for them."""
    shares, fold = drawn_shares(given, options), options.fold
    if fold and not shares[0]:
        raise InvalidData("the data set comes with validation images, which are the same in every fold")
    counts = torch.bincount(images.labels[pool], minlength=len(images.classes)).tolist()
    present = torch.unique(images.labels).tolist()
    for label in present:
        needed = fold.of + (shares[1] > 0) if fold else parts_needed(*shares)
        refuse_few(images.classes[label], counts[label], needed)
    if fold:
        sizes = fold_sizes([counts[label] for label in present], fold.of, shares[1])
        names = (*(f"fold {index}" for index in range(fold.of)), "test")
        return Asked(names, dict(zip(present, sizes, strict=True)))
    return Asked(PartSizes._fields, {label: part_sizes(counts[label], *shares) for label in present})


def _validated_by(fold: Fold, drawn: Tensor) -> Tensor:
    """The part of each image, int8 [n], from its fold; that of the test images is the number of folds."""
    parts = torch.full_like(drawn, TRAIN)
    parts[drawn == fold.index] = VALIDATION
    parts[drawn == fold.of] = TEST
    return parts


def drawn_shares(given: Tensor, options: Dataset) -> tuple[float, float]:
    """The shares to draw for validation and test; 0 for a part that the set has already (`given` int8 [N])."""
    validation, test = ((given == part).any() for part in (VALIDATION, TEST))
    return 0.0 if validation else options.val_fraction, 0.0 if test else options.test_fraction


def refuse_few(name: str, images: int, needed: int) -> None:
    """Raise InvalidData if the class `name` has fewer images than there are parts to draw."""
    if images < needed:
        raise InvalidData(
            f"class {name!r} has {counted(images, 'image')}; the split needs at least {needed} of each class"
        )


def _drawn(
    labels: Tensor, groups: Tensor, whole: Tensor, asked: Asked, seed: int | None, names: Sequence[str]
) -> tuple[Tensor, tuple[str, ...]]:
    """The part of each image, int8 [n], and notes on what the groups change.

    A group of `groups` int64 [n] that is divided falls into its groups of `whole` int64 [n].
    """
    parts, divided_for = divide(labels, groups, asked.sizes, generator(seed, "split")), dict[int, str]()
    for least in (FEW_POINTS, 0.0):
        missed = _missed(parts, labels, asked.sizes)
        large = _large(labels, groups, whole, list(missed), least)
        for label in missed.keys() & set(labels[large].tolist()):
            divided_for.setdefault(label, _note_of_copies(names[label], asked, label, *missed[label]))
        if large.any():
            groups = torch.where(large, -1 - whole, groups)
            parts = divide(labels, groups, asked.sizes, generator(seed, "split"))
    missed = _missed(parts, labels, asked.sizes)
    kept = [_note_of_groups(names[label], asked, label, *found) for label, found in missed.items()]
    by_class = [*(divided_for[label] for label in sorted(divided_for)), *kept]
    more = [f"{len(by_class) - MOST_NOTES} more such notes are left out."] if len(by_class) > MOST_NOTES else []
    return parts, (*_note_of_parts(parts, asked), *by_class[:MOST_NOTES], *more)


def _refuse_empty(parts: Tensor, asked: Asked) -> None:
    for part, name in enumerate(asked.names):
        if any(size[part] for size in asked.sizes.values()) and not (parts == part).any():
            raise InvalidData(
                f"the groups of the label file are too few or too large: no image is left for the part {name}; "
                "each part needs at least one group"
            )


def _missed(parts: Tensor, labels: Tensor, sizes: Sizes) -> dict[int, tuple[int, int]]:
    """By class, the part that misses its size by the most and its images, if by more than FEW_POINTS or to nothing."""
    missed, every = {}, range(count_parts(sizes))
    cells = torch.bincount(labels * len(every) + parts, minlength=len(every) * (max(sizes) + 1))
    table = cells.reshape(-1, len(every)).tolist()
    for label, size in sizes.items():
        counts = table[label]
        part = max(reversed(every), key=lambda p: abs(counts[p] - size[p]))
        is_far = abs(counts[part] - size[part]) > max(1, FEW_POINTS * sum(size))
        if is_far or any(asked and not count for asked, count in zip(size, counts, strict=True)):
            missed[label] = part, counts[part]
    return missed


def _large(labels: Tensor, groups: Tensor, whole: Tensor, classes: list[int], least: float) -> Tensor:
    """bool [n]: the images of the groups that can be divided, and hold more than one image and more than a share of
    `least` of one of these classes.
    """
    numbers, dense = torch.unique(groups, return_inverse=True)
    pairs, counts = torch.unique(labels * len(numbers) + dense, return_counts=True)
    label, group = pairs // len(numbers), pairs % len(numbers)
    is_large = (counts > 1) & (counts > least * torch.bincount(labels)[label])
    is_large &= torch.isin(label, torch.tensor(classes, dtype=torch.int64))
    blank = torch.zeros_like(numbers)
    low, high = (blank.scatter_reduce(0, dense, whole, ends, include_self=False) for ends in ("amin", "amax"))
    chosen = torch.zeros(len(numbers), dtype=torch.bool)
    chosen[group[is_large]] = True
    return (chosen & (low != high))[dense]


def _note_of_parts(parts: Tensor, asked: Asked) -> Iterator[str]:
    counts = torch.bincount(parts, minlength=len(asked.names)).tolist()
    wanted = [sum(size[part] for size in asked.sizes.values()) for part in range(len(asked.names))]
    if counts != wanted:
        one, other = (
            ", ".join(f"{n} {name}" for n, name in zip(row, asked.names, strict=True)) for row in (counts, wanted)
        )
        yield f"images of one group stay together: the split has {one} images, where the spec asks for {other}."


def _note_of_copies(name: str, asked: Asked, label: int, part: int, count: int) -> str:
    size = asked.sizes[label]
    return (
        f"class {name!r}: with all copies on one side, {count} of its {sum(size)} images would be in the part "
        f"{asked.names[part]}, where the spec asks for {size[part]}. Groups of its copies are divided."
    )


def _note_of_groups(name: str, asked: Asked, label: int, part: int, count: int) -> str:
    size = asked.sizes[label]
    return (
        f"class {name!r}: {count} of its {sum(size)} images are in the part {asked.names[part]}, where the "
        f"spec asks for {size[part]}: images of one group stay together."
    )


def stratified_subset(labels: Tensor, indices: Tensor, size: int, seed: int | None) -> Tensor:
    """At most `size` of the indices int64 [n], ascending, with the classes in proportion; drawn from the seed."""
    random = generator(seed, "subset")
    shuffled = indices[torch.randperm(len(indices), generator=random)]
    by_class = [shuffled[members] for members in members_by_class(labels[shuffled])]
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
