"""The outputs of a model for single images, and the file `predictions.npz` that holds them."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from service.core.errors import InvalidData

VALIDATION, TEST = 0, 1  # values of `part`
PARTS = {"validation": VALIDATION, "test": TEST}
TYPES = {"part": np.uint8, "index": np.int64, "label": np.int64, "logits": np.float32}


@dataclass(frozen=True)
class Predictions:
    """The logits of a model for N images and K classes.

    `part` uint8 [N] is 0 for validation and 1 for test, `index` int64 [N] is the image's place in the data set, `label`
    int64 [N] its class from 0 to K - 1, `logits` float32 [N, K].
    """

    part: NDArray[np.uint8]
    index: NDArray[np.int64]
    label: NDArray[np.int64]
    logits: NDArray[np.float32]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.label)

    def of(self, part: int) -> "Predictions":
        """The images of one part, in their order."""
        rows = self.part == part
        return Predictions(self.part[rows], self.index[rows], self.label[rows], self.logits[rows])

    def save(self, file: BinaryIO) -> None:
        """Write an uncompressed npz."""
        np.savez(file, allow_pickle=False, **{name: getattr(self, name) for name in TYPES})


def load(path: Path) -> Predictions:
    """Read a file of `Predictions.save`. Raises InvalidData if it is not one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in TYPES}
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise InvalidData(f"the predictions cannot be read: {error}") from error
    images = len(arrays["label"])
    if arrays["logits"].ndim != 2 or any(len(array) != images for array in arrays.values()):  # noqa: PLR2004
        raise InvalidData("the predictions cannot be read: their arrays differ in length")
    return Predictions(**{name: array.astype(TYPES[name], copy=False) for name, array in arrays.items()})
