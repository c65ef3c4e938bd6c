"""The data sets that can be loaded by id."""

from collections.abc import Callable

from service.core.errors import InvalidData
from workers.training.data import digits
from workers.training.data.images import ImageSet

LOADERS: dict[str, Callable[[], ImageSet]] = {"digits": digits.load}


def load(dataset_id: str) -> ImageSet:
    """The whole set, on the CPU. Raises InvalidData where this worker does not know it."""
    if dataset_id not in LOADERS:
        raise InvalidData(f"this worker has no data set {dataset_id!r}; it has {', '.join(LOADERS)}")
    return LOADERS[dataset_id]()
