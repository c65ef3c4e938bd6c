"""The split that release 0.1 draws from a set with copies, so that its interrupted runs can be resumed and verified."""

import torch
from torch import Tensor

from service.core.records.part_sizes import part_sizes, parts_needed
from service.core.spec import Dataset
from workers.training.data.images import ImageSet
from workers.training.data.split import TEST, TRAIN, VALIDATION, Split, drawn_shares, refuse_few, thinned
from workers.training.seeds import generator


def split_of_0_1(images: ImageSet, copies: Tensor, options: Dataset, seed: int | None) -> Split:
    """Draw the originals of each class, then add each copy to the part of its original.

    In a class with too few originals for all parts, copies count as originals. Raises InvalidData if a class has too
    few images.
    """
    labels = images.labels
    given = torch.zeros(len(labels), dtype=torch.int8) if images.parts is None else images.parts
    pool, shares = given == TRAIN, drawn_shares(given, options)
    everything = torch.arange(len(labels))
    originals = _originals(labels, pool, copies, shares)
    drawn = pool & (originals == everything)
    parts = _drawn_parts(images, drawn, shares, generator(seed, "split"))
    parts = [_with_copies(part, labels, originals, pool & ~drawn) for part in parts]
    train = torch.cat(thinned(parts[TRAIN], options.train_limit))
    held_out = (torch.cat([*parts[part], torch.nonzero(given == part).flatten()]) for part in (VALIDATION, TEST))
    return Split(*(part.sort().values for part in (train, *held_out)))


def _drawn_parts(
    images: ImageSet, drawn: Tensor, shares: tuple[float, float], random: torch.Generator
) -> list[list[Tensor]]:
    """For training, validation and test: the indices by class, drawn from the images in `drawn`, bool [N]."""
    parts: list[list[Tensor]] = [[], [], []]
    for label in torch.unique(images.labels):
        members = torch.nonzero((images.labels == label) & drawn).flatten()
        members = members[torch.randperm(len(members), generator=random)]
        refuse_few(images.classes[int(label)], len(members), parts_needed(*shares))
        sizes = part_sizes(len(members), *shares)
        for part, chosen in zip(parts, torch.split(members, list(sizes)), strict=True):
            part.append(chosen)
    return parts


def _originals(labels: Tensor, pool: Tensor, copies: Tensor, shares: tuple[float, float]) -> Tensor:
    """int64 [N]: for each image in `pool` (bool [N]) the first one in it that is nearly identical; else its own index.

    In a class with too few originals for all parts, every image is its own original.
    """
    everything = torch.arange(len(labels))
    first = torch.full_like(everything, len(labels)).scatter_reduce(0, copies[pool], everything[pool], "amin")
    originals = torch.where(pool, first[copies], everything)
    needed = parts_needed(*shares)
    for label in torch.unique(labels):
        members = pool & (labels == label)
        if int((members & (originals == everything)).sum()) < needed:
            originals = torch.where(members, everything, originals)
    return originals


def _with_copies(by_class: list[Tensor], labels: Tensor, originals: Tensor, copies: Tensor) -> list[Tensor]:
    """The images of a part by class, with those of `copies` (bool [N]) whose originals are in the part.

    A copy can have another class than its original. In each class the copies come last.
    """
    chosen = torch.cat(by_class)
    everything = torch.cat([chosen, torch.nonzero(copies & torch.isin(originals, chosen)).flatten()])
    return [everything[labels[everything] == label] for label in torch.unique(labels)]
