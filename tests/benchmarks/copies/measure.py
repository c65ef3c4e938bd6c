"""Precision and recall of the search for copies on pictures to which changed copies are added."""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.copies.changes import CHANGES
from tests.benchmarks.copies.sets import Pictures
from workers.datasets.ingest.copies import Copies, find
from workers.datasets.ingest.prints import Prints

MADE = 100  # changed copies


@dataclass(frozen=True)
class Measured:
    """`recall`: the share of the changed copies that are grouped with their original, by change. `precision`: the share
    of the grouped pairs that are copies or variants. `variants`: the share of the pictures with variants that are
    grouped with one, None where there are none.
    """

    images: int
    recall: dict[str, float]
    precision: float
    variants: float | None


def found(pictures: Pictures) -> Copies:
    """The copies among the pictures."""
    prints = Prints()
    for image in pictures.images:
        pixels = np.asarray(_opaque(image))
        prints.add(pixels if pixels.ndim == 3 else pixels[..., None])
    return find(prints, np.asarray(pictures.labels, np.int64))


def with_copies(pictures: Pictures, every: int = 5, times: int = 1) -> tuple[Pictures, NDArray[np.int64]]:
    """The pictures with `times` changed copies of every `every`-th one at the end, and the original of each picture."""
    images = [_opaque(image) for image in pictures.images]
    chosen = [i for i in range(0, len(images), every) for _ in range(times)]
    changes = list(CHANGES.values())
    changed = [changes[k % len(changes)](images[i]) for k, i in enumerate(chosen)]
    labels = [*pictures.labels, *(pictures.labels[i] for i in chosen)]
    originals = np.asarray([*range(len(images)), *chosen], np.int64)
    return replace(pictures, images=images + changed, labels=labels), originals


def measure(pictures: Pictures) -> Measured:
    """Measure the search on the pictures with changed copies of about MADE of them."""
    changed, originals = with_copies(pictures, max(1, len(pictures.images) // MADE))
    groups, count = found(changed).groups, len(pictures.images)
    is_found = (groups == groups[originals])[count:]
    names = np.resize(list(CHANGES), len(is_found))
    families = originals if pictures.families is None else np.asarray(pictures.families)[originals]
    pairs = [pair for members in _several(groups) for pair in combinations(families[members].tolist(), 2)]
    return Measured(
        images=count,
        recall={name: float(is_found[names == name].mean()) for name in CHANGES},
        precision=float(np.mean([one == other for one, other in pairs])) if pairs else 1.0,
        variants=None if pictures.families is None else _grouped_variants(pictures),
    )


def _grouped_variants(pictures: Pictures) -> float:
    groups, families = found(pictures).groups, np.asarray(pictures.families)
    _, inverse, counts = np.unique(np.stack([groups, families]), axis=1, return_inverse=True, return_counts=True)
    return float((counts[inverse.ravel()] > 1).mean())


def _several(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    numbers, counts = np.unique(groups, return_counts=True)
    return [np.nonzero(groups == number)[0] for number in numbers[counts > 1]]


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")
