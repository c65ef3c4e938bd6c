"""Reads and writes safetensors: the length of a header, the header in JSON, the values of all tensors.

The format is described in https://github.com/huggingface/safetensors. Its library cannot give the places of the values
to a process without torch, and reads no BF16 there.
"""

import json
import struct
from collections.abc import Mapping
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from service.weights.stored_tensor import StoredTensor, UnreadableFile, whole_numbers

LENGTH = struct.Struct("<Q")  # of the header in bytes
MOST_HEADER = 16 << 20  # bytes
METADATA = "__metadata__"
ALIGNMENT = 8  # bytes of the header are a multiple of it


def is_safetensors(file: BinaryIO) -> bool:
    """Whether the file begins as one of safetensors does."""
    file.seek(0)
    return file.read(LENGTH.size + 1)[LENGTH.size :] == b"{"


def read_safetensors(file: BinaryIO) -> dict[str, StoredTensor]:
    """The tensors in the file by name. Raises UnreadableFile."""
    size = file.seek(0, 2)
    file.seek(0)
    (length,) = LENGTH.unpack(file.read(LENGTH.size))
    start = LENGTH.size + length
    if length > MOST_HEADER or start > size:
        raise UnreadableFile("its header is cut off or too long")
    try:
        header = json.loads(file.read(length))
        rows = {name: row for name, row in header.items() if name != METADATA}
        return {name: _tensor(name, row, start, size) for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableFile("its header is broken") from error


def _tensor(name: str, row: Mapping[str, Any], start: int, size: int) -> StoredTensor:
    first, end = whole_numbers(row["data_offsets"])
    tensor = StoredTensor(str(row["dtype"]), whole_numbers(row["shape"]), start + first)
    if end - first != tensor.bytes or start + end > size:
        raise UnreadableFile(f"{name} does not have as many bytes as its shape needs")
    return tensor


def write_safetensors(
    tensors: Mapping[str, StoredTensor], content: NDArray[np.uint8], file: IO[bytes], metadata: Mapping[str, str]
) -> None:
    """Write tensors whose values are in `content`, the bytes of another file. Raises UnreadableFile and OSError."""
    header: dict[str, Any] = {METADATA: dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.bytes
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    file.write(LENGTH.pack(len(text)) + text)
    for tensor in tensors.values():
        for block in tensor.blocks(content):
            file.write(block.tobytes())
