"""Event files of TensorBoard: records (TFRecord) of one protobuf message each, of which only scalars are read.

The fields are those of `tensorboard/compat/proto/event.proto` and `summary.proto`.
"""

import struct
from collections.abc import Iterator
from typing import Any

from service.core.diagnosis.histories.table import Source, Table, limited, refusal

HEADER, FOOTER = 12, 4  # bytes: length and its checksum before a record, the checksum of the data after it
VERSION = b"brain.Event:"
STEP, SUMMARY = 2, 5  # fields of Event
VALUE = 1  # of Summary
TAG, SIMPLE_VALUE, TENSOR = 1, 2, 8  # of Value
DTYPE, CONTENT, FLOATS, DOUBLES = 1, 4, 5, 6  # of TensorProto
TYPES = {1: "<f", 2: "<d"}  # of DTYPE
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10


def read(source: Source) -> Table | None:
    """One event file, or several one after the other."""
    if VERSION not in source.data[:64]:
        return None
    by_step: dict[int, dict[str, Any]] = {}
    for step, tag, value in _scalars(source.data):
        by_step.setdefault(step, {"step": step})[tag] = value
    if not by_step:
        raise refusal("the event file has no scalars")
    return Table("TensorBoard event file", limited([by_step[step] for step in sorted(by_step)]))


def _scalars(data: bytes) -> Iterator[tuple[int, str, float]]:
    """(step, tag, value) of all scalars. A record that was cut off ends the file: the run may still write."""
    at = 0
    while at + HEADER <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        record = data[at + HEADER : at + HEADER + length]
        if len(record) < length:
            return
        at += HEADER + length + FOOTER
        try:
            yield from _of_event(record)
        except (ValueError, struct.error, IndexError) as error:
            raise refusal("the event file is damaged: a record cannot be read") from error


def _of_event(record: bytes) -> Iterator[tuple[int, str, float]]:
    event = list(_fields(record))
    step = next((_signed(value) for number, value in event if number == STEP and isinstance(value, int)), 0)
    for number, summary in event:
        if number != SUMMARY or not isinstance(summary, bytes):
            continue
        for inner, content in _fields(summary):
            if inner == VALUE and isinstance(content, bytes) and (scalar := _scalar(content)) is not None:
                yield step, *scalar


def _scalar(content: bytes) -> tuple[str, float] | None:
    """(tag, value) of a Value, None if it is no scalar."""
    tag, value = None, None
    for number, field in _fields(content):
        if number == TAG and isinstance(field, bytes):
            tag = field.decode("utf-8", "replace")
        elif number == SIMPLE_VALUE and isinstance(field, bytes) and len(field) == struct.calcsize("<f"):
            (value,) = struct.unpack("<f", field)
        elif number == TENSOR and isinstance(field, bytes):
            value = _of_tensor(dict(_fields(field)))
    return None if tag is None or value is None else (tag, value)


def _of_tensor(tensor: dict[int, int | bytes]) -> float | None:
    """The value of a tensor with one number."""
    kind = tensor.get(DTYPE)
    form = TYPES.get(kind) if isinstance(kind, int) else None
    raw = tensor.get(CONTENT) or tensor.get(FLOATS) or tensor.get(DOUBLES)
    if form is None or not isinstance(raw, bytes) or len(raw) != struct.calcsize(form):
        return None
    value: float = struct.unpack(form, raw)[0]
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of the fields of a protobuf message. Raises ValueError and IndexError for damaged ones."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + length > len(message):
            raise ValueError("a field ends after its message")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(LONGEST_VARINT):
        byte = message[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says whether another byte follows
            return value, at + count + 1
    raise ValueError("a number has too many bytes")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
