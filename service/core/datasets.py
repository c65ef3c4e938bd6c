"""The data sets that can be named in a spec."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.errors import NotFound


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before any of its images is read. `shape` is (channels, height, width)."""

    id: str
    name: str
    classes: tuple[str, ...]
    samples_per_class: tuple[int, ...]
    shape: tuple[int, int, int]
    status: str = "ready"

    @property
    def samples(self) -> int:
        return sum(self.samples_per_class)


DIGITS = DatasetInfo(
    id="digits",
    name="Optical recognition of handwritten digits (UCI, as scikit-learn ships it)",
    classes=tuple("0123456789"),
    samples_per_class=(178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
    shape=(1, 8, 8),
)

BUILT_IN: Mapping[str, DatasetInfo] = {DIGITS.id: DIGITS}


def find(dataset_id: str) -> DatasetInfo:
    """The data set of that id; raises NotFound."""
    if dataset_id not in BUILT_IN:
        raise NotFound(f"there is no data set {dataset_id!r}")
    return BUILT_IN[dataset_id]
