"""The tensors in a file of torch.save: where each one's values are, in both formats of such files.

Since release 1.6 a file is a zip of a pickle and one uncompressed entry for each storage. Before, it was five pickles,
followed by the storages.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from service.weights.pickled import PickledTensor, unpickle
from service.weights.stored_tensor import StoredTensor, UnreadableFile, size_of

MOST_PICKLED = 16 << 20  # bytes of the pickles in a file
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older format
LOCAL_HEADER = struct.Struct("<26xHH")  # of an entry of a zip: the lengths of its name and its extra field
COUNT = struct.Struct("<q")  # of the values of a storage in the older format
WRAPPERS = ("state_dict", "model")  # where training programs put the state_dict in a larger dictionary
PREFIXES = ("module.", "_orig_mod.")  # of networks that were wrapped by DataParallel or compiled


def read_torch_file(file: BinaryIO) -> dict[str, StoredTensor]:
    """The tensors of the state_dict in the file, by name. Raises UnreadableFile."""
    value, starts = _read_zip(file) if zipfile.is_zipfile(file) else _read_old_file(file)
    state = _unwrapped(value)
    if not state:
        raise UnreadableFile("it holds no tensors; save model.state_dict()")
    if not all(isinstance(tensor, PickledTensor) for tensor in state.values()):
        raise UnreadableFile("it holds more than tensors by their names; save model.state_dict()")
    return {_plain(str(name)): _placed(tensor, starts) for name, tensor in state.items()}


def _unwrapped(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise UnreadableFile("it holds no dictionary; save model.state_dict()")
    return next((value[name] for name in WRAPPERS if isinstance(value.get(name), dict)), value)


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _placed(tensor: PickledTensor, starts: Mapping[str, int]) -> StoredTensor:
    dtype, key = tensor.storage.dtype, tensor.storage.key
    if key not in starts:
        raise UnreadableFile(f"the values of a tensor are missing: storage {key}")
    return StoredTensor(dtype, tensor.shape, starts[key] + tensor.offset * size_of(dtype), tensor.strides)


def _read_zip(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """The pickled value, and the places of the storages by their keys."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {PurePosixPath(info.filename): info for info in archive.infolist()}
            pickles = [path for path in entries if path.name == "data.pkl"]
            if len(pickles) != 1 or entries[pickles[0]].file_size > MOST_PICKLED:
                raise UnreadableFile("it is a zip, but not one of torch.save")
            if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
                raise UnreadableFile("its entries are compressed, as torch.save never does")
            folder = pickles[0].parent
            byte_order = entries.get(folder / "byteorder")
            if byte_order and archive.read(byte_order) != b"little":
                raise UnreadableFile("its byte order is not little endian")
            value = unpickle(io.BytesIO(archive.read(entries[pickles[0]])))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UnreadableFile(f"the zip cannot be read: {error}") from error
    storages = {path.name: info.header_offset for path, info in entries.items() if path.parent == folder / "data"}
    return value, {key: _content_start(file, at) for key, at in storages.items()}


def _content_start(file: BinaryIO, header: int) -> int:
    """Where the content of an entry of the zip begins."""
    file.seek(header)
    block = file.read(LOCAL_HEADER.size)
    if len(block) < LOCAL_HEADER.size:
        raise UnreadableFile("the zip is cut off")
    name, extra = LOCAL_HEADER.unpack(block)
    return header + LOCAL_HEADER.size + int(name) + int(extra)


def _read_old_file(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """The pickled value, and the places of the storages by their keys."""
    file.seek(0)
    head = io.BytesIO(file.read(MOST_PICKLED))
    if unpickle(head) != MAGIC:
        raise UnreadableFile("it is neither safetensors nor a file of torch.save")
    _protocol, system, value, keys = (unpickle(head) for _ in range(4))
    if not isinstance(system, dict) or not system.get("little_endian") or not isinstance(keys, list):
        raise UnreadableFile("its byte order is not little endian")
    return value, dict(_old_storages(file, head.tell(), keys, _dtypes(value)))


def _dtypes(value: Any) -> dict[str, str]:
    """The types of the storages of a state_dict, by their keys."""
    tensors = [tensor for tensor in _unwrapped(value).values() if isinstance(tensor, PickledTensor)]
    return {tensor.storage.key: tensor.storage.dtype for tensor in tensors}


def _old_storages(file: BinaryIO, at: int, keys: list[Any], dtypes: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """(key, place) of each storage: the number of its values, then the values."""
    for key in keys:
        file.seek(at)
        block = file.read(COUNT.size)
        if len(block) < COUNT.size or str(key) not in dtypes:
            raise UnreadableFile("it is cut off, or holds more than the tensors of a state_dict")
        (count,) = COUNT.unpack(block)
        yield str(key), at + COUNT.size
        at += COUNT.size + max(0, count) * size_of(dtypes[str(key)])
