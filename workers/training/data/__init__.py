"""The data sets that can be loaded by id."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from service.core.errors import InvalidData
from workers.training.data import digits, packed
from workers.training.data.images import ImageSet

LOADERS: dict[str, Callable[[], ImageSet]] = {"digits": digits.load}


@dataclass(frozen=True)
class Places:
    """Where a run finds its data: the folder of a pack, None for what is built in, and a folder of its own."""

    pack: Path | None = None
    scratch: Path = Path()


def load(dataset_id: str, side: int | None = None, places: Places = Places()) -> ImageSet:
    """The whole set, on the CPU, resized to squares of that side where one is given.

    Raises InvalidData where this worker does not know it.
    """
    if places.pack:
        return packed.load(places.pack, side, places.scratch)
    if dataset_id not in LOADERS:
        raise InvalidData(f"this worker has no data set {dataset_id!r}; it has {', '.join(LOADERS)}")
    return replace(LOADERS[dataset_id](), side=side)
