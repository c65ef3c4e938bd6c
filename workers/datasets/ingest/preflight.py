"""Checks of a data set before training: copies, constant images, classes of unequal size.

Nearly equal pictures are found by a difference hash (N. Krawetz, "Kind of Like That", 2013): 64 bits that say whether
each pixel of an 8x9 thumbnail is brighter than its neighbour. Pictures whose hashes differ in at most NEAR_BITS bits
are then compared by a 16x16 thumbnail in colour, since small or plain pictures share hashes without being alike.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.text import counted
from workers.datasets.ingest.folder_words import PART_NAMES
from workers.datasets.ingest.pack import Pixels

NEAR_BITS = 3  # of 64; so that one of four groups of 16 bits is equal
NEAR = 3.0  # mean difference of the thumbnails' values, of 255
BANDS, BAND_BITS = 4, 16
MOST_IN_A_BUCKET = 64  # pictures that share 16 bits and are compared each with each
MOST_COMPARED = 200_000  # images; the search for near copies is left out in larger sets
UNEVEN = 5  # largest class to smallest one
PARTS_OF_A_SPLIT = 3
SHOWN = 3  # names in a warning

Columns = NDArray[np.int64]


@dataclass
class Prints:
    """A fingerprint of every image, gathered as they are read."""

    digests: list[bytes] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    thumbnails: list[bytes] = field(default_factory=list)
    constant: list[int] = field(default_factory=list)

    def add(self, pixels: Pixels) -> None:
        """The next image, [H, W, C]."""
        shape = np.asarray(pixels.shape, np.int32).tobytes()
        data = np.ascontiguousarray(pixels)
        self.digests.append(hashlib.blake2b(data.data, digest_size=16, salt=shape).digest())
        if (pixels.min((0, 1)) == pixels.max((0, 1))).all():
            self.constant.append(len(self.digests) - 1)
        if len(self.digests) > MOST_COMPARED:
            return
        picture = Image.fromarray(data[..., 0] if data.shape[2] == 1 else data)
        gray = picture.convert("L") if picture.mode != "L" else picture
        small = np.asarray(gray.resize((9, 8), Image.Resampling.BOX), np.int16)
        bits = np.packbits(small[:, 1:] > small[:, :-1])
        self.hashes.append(int.from_bytes(bits.tobytes(), "big"))
        self.thumbnails.append(picture.resize((16, 16), Image.Resampling.BOX).convert("RGB").tobytes())


def copies(prints: Prints) -> tuple[Columns, Columns]:
    """(exact, near): for each image the first one of those that are the same, and of those that are nearly the same."""
    first: dict[bytes, int] = {}
    exact = np.asarray([first.setdefault(digest, i) for i, digest in enumerate(prints.digests)], np.int64)
    near = exact.copy()
    if len(prints.digests) <= MOST_COMPARED:
        for one, other in _near_pairs(prints, [int(i) for i in np.unique(exact)]):
            _join(near, one, other)
    return exact, np.asarray([_root(near, i) for i in range(len(near))], np.int64)


def _near_pairs(prints: Prints, distinct: Sequence[int]) -> Iterator[tuple[int, int]]:
    plain = set(prints.constant)
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i in distinct:
        for band in range(BANDS) if i not in plain else ():
            buckets[band, prints.hashes[i] >> (band * BAND_BITS) & 0xFFFF].append(i)
    for members in buckets.values():
        for one, other in combinations(members[:MOST_IN_A_BUCKET], 2):
            if (prints.hashes[one] ^ prints.hashes[other]).bit_count() <= NEAR_BITS and _alike(prints, one, other):
                yield one, other


def _alike(prints: Prints, one: int, other: int) -> bool:
    first, second = (np.frombuffer(prints.thumbnails[i], np.uint8).astype(np.int16) for i in (one, other))
    return bool(np.abs(first - second).mean() <= NEAR)


def _join(roots: Columns, one: int, other: int) -> None:
    low, high = sorted((_root(roots, one), _root(roots, other)))
    roots[high] = low


def _root(roots: Columns, i: int) -> int:
    while roots[i] != i:
        roots[i] = roots[roots[i]]
        i = int(roots[i])
    return i


def warnings(
    names: Sequence[str],
    classes: Sequence[str],
    labels: Columns,
    parts: Columns | None,
    prints: Prints,
    copies_of: tuple[Columns, Columns],
) -> Iterator[str]:
    """Warnings about a data set, the worst first. `copies_of` is what `copies` returns for the prints."""
    exact, near = copies_of
    yield from _copies(names, labels, parts, exact, "exact duplicates")
    only_near = near.copy()
    only_near[exact != np.arange(len(exact))] = np.nonzero(exact != np.arange(len(exact)))[0]
    yield from _copies(names, labels, parts, only_near, "near duplicates")
    distinct = np.bincount(labels[near == np.arange(len(near))], minlength=len(classes))
    if parts is None and (poor := [i for i, count in enumerate(distinct) if count < PARTS_OF_A_SPLIT]):
        yield (
            f"class {classes[poor[0]]!r} has {distinct[poor[0]]} images that are no copies, too few to keep copies on "
            "one side of the split: the measures will be better than the model is."
        )
    if len(names) > MOST_COMPARED:
        yield f"near duplicates were not looked for: the set has more than {MOST_COMPARED:,} images."
    if prints.constant:
        yield f"of one colour throughout: {counted(len(prints.constant), 'image')}, {_some(names, prints.constant)}."
    counts = np.bincount(labels, minlength=len(classes))
    if counts.max() >= UNEVEN * counts.min():
        least, most = int(counts.argmin()), int(counts.argmax())
        yield (
            f"the classes are uneven: {classes[most]!r} has {counts[most]} images and {classes[least]!r} has "
            f"{counts[least]}; regularization.class_weights balanced makes up for it."
        )


def _copies(names: Sequence[str], labels: Columns, parts: Columns | None, first: Columns, what: str) -> Iterator[str]:
    later = [i for i, original in enumerate(first.tolist()) if i != original]
    if not later:
        return
    pair = f"such as {names[later[0]]} of {names[first[later[0]]]}"
    kept = "" if parts is not None else "; each is put into the same part of the split as its original"
    yield f"{what}: {counted(len(later), 'image')}, {pair}{kept}."
    across = [i for i in later if labels[i] != labels[first[i]]]
    if across:
        one = across[0]
        yield (
            f"{what} of another class than their original: {counted(len(across), 'image')}, such as {names[one]} of "
            f"{names[first[one]]}: one of the labels is wrong."
        )
    if parts is not None:
        members: dict[int, set[int]] = defaultdict(set)
        for i, original in enumerate(first):
            members[int(original)].add(int(parts[i]))
        leaks = [i for i in later if len(members[int(first[i])]) > 1]
        if leaks:
            between = " and ".join(PART_NAMES[part] for part in sorted(members[int(first[leaks[0]])]))
            yield (
                f"{len(leaks)} {what} lie on two sides of the split, such as {names[leaks[0]]} ({between}): the "
                "measures will be better than the model is."
            )


def group_sizes(near: Columns) -> dict[int, int]:
    """How many groups of copies there are of each size."""
    sizes = Counter(Counter(near.tolist()).values())
    return {size: count for size, count in sorted(sizes.items()) if size > 1}


def _some(names: Sequence[str], indices: Sequence[int]) -> str:
    more = ", …" if len(indices) > SHOWN else ""
    return ", ".join(names[i] for i in indices[:SHOWN]) + more
