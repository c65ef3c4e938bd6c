"""The data sets that can be loaded by id."""

from collections.abc import Callable
from dataclasses import replace

from service.core.errors import InvalidData
from workers.training.data import digits
from workers.training.data.images import ImageSet

LOADERS: dict[str, Callable[[], ImageSet]] = {"digits": digits.load}


def load(dataset_id: str, side: int | None = None) -> ImageSet:
    """The whole set, on the CPU, resized to squares of that side where one is given.

    Raises InvalidData where this worker does not know it.
    """
    if dataset_id not in LOADERS:
        raise InvalidData(f"this worker has no data set {dataset_id!r}; it has {', '.join(LOADERS)}")
    return replace(LOADERS[dataset_id](), side=side)
