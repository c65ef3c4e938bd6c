"""Checks the tensors of a file against the architecture that they are said to be of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from service.core.spec.states import AUXILIARY, StateShapes, current_name, state_shapes
from service.core.text import counted
from service.weights.stored_tensor import FLOATS, StoredTensor, UnreadableFile

CHANNELS_AT, POSITIONS_AT = 1, 1  # the dimensions of the channels in the stem, and of the positions
AUXILIARY_NOTE = "its auxiliary classifiers are left out: they were of use for the training of the file only"
MOST_SHOWN = 100  # characters of a name in a message


@dataclass(frozen=True)
class Checked:
    """Tensors by the library's present names, in its order; `classes` is None if the last layer is missing.

    `notes` say what of the file is left out.
    """

    tensors: Mapping[str, StoredTensor]
    classes: int | None
    channels: int
    notes: tuple[str, ...] = ()


def check(arch: str, found: Mapping[str, StoredTensor], content: NDArray[np.uint8]) -> Checked:
    """Check that the tensors are weights of the network `arch`, by their names, shapes, types and values.

    The first convolution may have any number of channels, the last layer any number of classes or be missing, and a
    ViT the position embeddings of any square image. `content` are the bytes of the file.

    Raises UnreadableFile with the reason.
    """
    known = state_shapes(arch)
    named = {now: tensor for name, tensor in found.items() if (now := current_name(name)) is not None}
    head = [name for name in known.tensors if name.startswith(f"{known.head}.")]
    has_head = any(name in named for name in head)
    needed = [name for name in known.tensors if has_head or name not in head]
    _refuse_other_names(arch, named, needed)
    tensors = {name: named[name] for name in needed}
    classes = tensors[head[0]].shape[:1] if has_head else (None,)
    for name, tensor in tensors.items():
        _refuse_other_shape(arch, name, tensor, _expected(known, name, tensor, classes[0] if classes else None))
    if sum(tensor.bytes for tensor in tensors.values()) > content.size:
        raise UnreadableFile("its tensors share their values; save contiguous copies")
    for name, tensor in tensors.items():
        if not tensor.is_finite(content):
            raise UnreadableFile(f"{name} has values that are infinite or not a number")
    channels = tensors[known.stem].shape[CHANNELS_AT]
    left_out = (AUXILIARY_NOTE,) if any(name.startswith(AUXILIARY) for name in found) else ()
    return Checked(tensors, classes[0], channels, left_out)


def _refuse_other_names(arch: str, named: Mapping[str, StoredTensor], needed: list[str]) -> None:
    faults = [*_few("is missing", [n for n in needed if n not in named])]
    faults += _few("is unknown", [n for n in named if n not in needed])
    if faults:
        raise UnreadableFile(f"its tensors are not those of {arch}: {'; '.join(faults)}")


def _few(what: str, names: list[str]) -> Iterator[str]:
    if names:
        others = f", and {counted(len(names) - 1, 'other')}" if names[1:] else ""
        yield f"{names[0][:MOST_SHOWN]} {what}{others}"


def _expected(known: StateShapes, name: str, tensor: StoredTensor, classes: int | None) -> tuple[int, ...]:
    """The shape that the tensor must have, with the free dimensions as they are."""
    shape = list(known.tensors[name])
    if len(tensor.shape) != len(shape):
        return tuple(shape)
    if name.startswith(f"{known.head}.") and classes:
        shape[0] = classes
    if name == known.stem:
        shape[CHANNELS_AT] = max(1, tensor.shape[CHANNELS_AT])
    if name == known.positions:
        others = shape[POSITIONS_AT] - isqrt(shape[POSITIONS_AT]) ** 2  # tokens that are no patches
        side = isqrt(max(1, tensor.shape[POSITIONS_AT] - others))
        shape[POSITIONS_AT] = others + side * side
    return tuple(shape)


def _refuse_other_shape(arch: str, name: str, tensor: StoredTensor, expected: tuple[int, ...]) -> None:
    if tensor.dtype not in FLOATS:
        raise UnreadableFile(f"{name} has values of the type {tensor.dtype}; allowed: {', '.join(FLOATS)}")
    if tensor.shape != expected:
        detail = f"{name} has the shape {list(tensor.shape)}, and in {arch} {list(expected)}"
        raise UnreadableFile(detail)
