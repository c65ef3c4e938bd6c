"""The data sets that can be loaded by id."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from service.core.errors import InvalidData
from workers.training.data import digits, packed, published, synthetic
from workers.training.data.images import ImageSet

LOADERS: dict[str, Callable[[Path], ImageSet]] = {
    "digits": lambda library: digits.load(),
    "synthetic": lambda library: synthetic.load(),
    **{name: partial(published.load, name) for name in published.SETS},
}


@dataclass(frozen=True)
class DataPaths:
    """Where a run finds its data: the folder of a pack, None for what is built in; a folder of its own; and the one
    where downloaded sets are kept.
    """

    pack: Path | None = None
    scratch: Path = Path()
    library: Path = Path()


def load(dataset_id: str, side: int | None = None, paths: DataPaths = DataPaths()) -> ImageSet:
    """The whole set, on the CPU, resized to squares of that side where one is given.

    Raises InvalidData where this worker does not know it.
    """
    if paths.pack:
        return packed.load(paths.pack, side, paths.scratch)
    if dataset_id not in LOADERS:
        raise InvalidData(f"this worker has no data set {dataset_id!r}; it has {', '.join(LOADERS)}")
    return replace(LOADERS[dataset_id](paths.library), side=side)
