"""Loading a data set by its id."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from service.core.errors import InvalidData
from service.core.images import SQUARE
from workers.training.data import digits, packed, published, synthetic
from workers.training.data.images import ImageSet
from workers.training.data.mapped import MakeRoom, anywhere

LOADERS: dict[str, Callable[[Path, MakeRoom], ImageSet]] = {
    "digits": lambda library, make_room: digits.load(),
    "synthetic": lambda library, make_room: synthetic.load(),
    **{name: partial(published.load, name) for name in published.SETS},
}


@dataclass(frozen=True)
class DataPaths:
    """The folders of a run: a packed upload (None for a built-in set), its resized images, and the downloaded sets.

    `make_room` is called before a file is written there.
    """

    pack: Path | None = None
    resized: Path = Path()
    library: Path = Path()
    make_room: MakeRoom = anywhere


def load(dataset_id: str, side: int | None = None, paths: DataPaths = DataPaths(), way: str = SQUARE) -> ImageSet:
    """The whole set, on the CPU, resized to squares of `side` pixels if `side` is set; `way` is that of dataset.resize.

    Raises InvalidData for an unknown id, and DiskFull.
    """
    if paths.pack:
        return packed.load(paths.pack, side, paths.resized, way, paths.make_room)
    if dataset_id not in LOADERS:
        raise InvalidData(f"unknown data set {dataset_id!r}; this worker has {', '.join(LOADERS)}")
    return replace(LOADERS[dataset_id](paths.library, paths.make_room), side=side, resize=way)
