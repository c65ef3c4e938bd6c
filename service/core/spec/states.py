"""The tensors in the state_dicts of torchvision's and timm's networks, by name and shape, for processes without torch.

`python -m workers.tools.describe` writes the tables from the networks that workers build.
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from service.core.spec.architectures import TIMM

FILE = Path(__file__).with_suffix(".json.gz")
TIMM_FILE = Path(__file__).with_name("timm_states.json.gz")
CONSTANT = ("num_batches_tracked", "relative_position_index")  # endings of names of integers, which are not learned
SCALED_INPUT = "scaled_input"  # in the metadata of stored weights whose network scales its input (see `convert`)
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # classifiers that were used only in the original training
OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # names in files of older torchvision


@dataclass(frozen=True)
class StateShapes:
    """The learned tensors of a network for color images of 224 pixels (timm: of its own size) and 1000 classes.

    `head` is the name of the last layer, whose tensors have one row for each class. `stem` is the name of the first
    convolution's kernels [O, C, k, k], with C channels of the images. `positions` is the name of the position
    embeddings [1, tokens, width] of a ViT, None for other networks. The tokens are a square of patches, perhaps after
    that of the class.
    """

    tensors: Mapping[str, tuple[int, ...]]
    head: str
    stem: str
    positions: str | None


def current_name(name: str) -> str | None:
    """The present name of a tensor in a file of any torchvision release; None for one that is not loaded."""
    if name.startswith(AUXILIARY) or name.endswith(CONSTANT):
        return None
    return OLD_DENSE_LAYER.sub(r"\1\2.", name)


def state_shapes(arch: str) -> StateShapes:
    """The tensors of a network by its name."""
    return _read(TIMM_FILE if arch.startswith(TIMM) else FILE)[arch]


@cache
def _read(file: Path) -> Mapping[str, StateShapes]:
    rows = json.loads(gzip.decompress(file.read_bytes()))
    return {arch: StateShapes(**row | {"tensors": _shapes(row["tensors"])}) for arch, row in rows.items()}


def _shapes(tensors: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in tensors.items()}


def packed(states: Mapping[str, StateShapes]) -> bytes:
    """The file's content: the same bytes for the same table."""
    rows = {arch: asdict(states[arch]) for arch in sorted(states)}
    return gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), mtime=0)
