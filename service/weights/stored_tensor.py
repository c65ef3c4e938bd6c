"""A tensor in a file: where its values are, and what they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20  # values at a time
# NumPy's types by their names in safetensors. Those of BF16 are read as whole numbers with the same bits.
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
TYPES = FLOATS | {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "<u1"}
BF16_EXPONENT = 0x7F80  # all its bits are set in infinities and NaN


class UnreadableFile(Exception):
    """The file does not hold tensors in a form that is accepted; the message says why."""


@dataclass(frozen=True)
class StoredTensor:
    """`dtype` is one of TYPES, `offset` in bytes from the start of the file, `strides` in values; None: contiguous."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...] | None = None

    @property
    def bytes(self) -> int:
        """The bytes of a contiguous copy."""
        return prod(self.shape) * size_of(self.dtype)

    def blocks(self, content: NDArray[np.uint8]) -> Iterator[NDArray[Any]]:
        """The values in order, at most BLOCK at a time. `content` are the bytes of the file. Raises UnreadableFile."""
        dtype = np.dtype(TYPES[self.dtype])
        strides = None if self.strides is None else [stride * dtype.itemsize for stride in self.strides]
        try:
            values = np.ndarray(self.shape, dtype, content.data, self.offset, strides)
        except (ValueError, TypeError, OverflowError) as error:
            raise UnreadableFile("a tensor lies outside of the file") from error
        flat = values.reshape(-1) if values.flags.c_contiguous else values.flatten()
        yield from (flat[at : at + BLOCK] for at in range(0, flat.size, BLOCK))

    def is_finite(self, content: NDArray[np.uint8]) -> bool:
        """Whether no value is infinite or NaN. Raises UnreadableFile."""
        if self.dtype == "BF16":
            return not any(((block & BF16_EXPONENT) == BF16_EXPONENT).any() for block in self.blocks(content))
        return all(np.isfinite(block).all() for block in self.blocks(content))


def size_of(dtype: str) -> int:
    """The bytes of a value. Raises UnreadableFile for a type that is not known."""
    if dtype not in TYPES:
        raise UnreadableFile(f"it has values of the type {dtype}; known: {', '.join(TYPES)}")
    return int(TYPES[dtype][-1])


def whole_numbers(values: Any) -> tuple[int, ...]:
    """A shape or strides. Raises UnreadableFile for anything but whole numbers from 0 on."""
    if not isinstance(values, Sequence) or not all(type(value) is int and value >= 0 for value in values):
        raise UnreadableFile("a tensor has a shape that is none")
    return tuple(values)
