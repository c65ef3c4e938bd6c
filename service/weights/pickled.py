"""Reads the pickles in files of torch.save, without Python's unpickler.

A pickle is a program for a stack machine, which may call any function. This machine knows the operations that a
state_dict needs. It builds numbers, texts, tuples, lists, dictionaries and descriptions of tensors, and calls nothing.
The operations are described in Python's `pickletools`, the functions that are stood in for in `torch._utils`.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pickletools import genops
from typing import Any, BinaryIO

from service.weights.stored_tensor import UnreadableFile, whole_numbers

MOST_OPERATIONS = 500_000  # the state_dict of a ViT-H needs about 20,000
# The types of values, as safetensors names them, by torch's names of storages.
DTYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}


@dataclass(frozen=True)
class Name:
    """The name of a class or function, which is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Storage:
    """The values of one or several tensors."""

    dtype: str
    key: str


@dataclass(frozen=True)
class PickledTensor:
    """A tensor in a storage: `offset` and `strides` in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def unpickle(file: BinaryIO) -> Any:
    """The value of the pickle that begins here; the file is left behind it.

    Raises UnreadableFile for a broken pickle, and for one that needs anything but plain data and tensors.
    """
    machine = _Machine()
    try:
        for number, (operation, argument, _) in enumerate(genops(file)):
            if operation.name == "STOP":
                return machine.stack.pop()
            if number == MOST_OPERATIONS:
                raise UnreadableFile("its pickle is too long for a state_dict")
            step = STEPS.get(operation.name)
            if step is None:
                raise UnreadableFile(f"its pickle has the operation {operation.name}, which no state_dict needs")
            step(machine, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise UnreadableFile("its pickle is broken") from error
    raise UnreadableFile("its pickle is cut off")


@dataclass
class _Machine:
    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)  # the stacks below each mark
    memo: dict[int, Any] = field(default_factory=dict)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        """Pop everything above the last mark, and the mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def last(self, count: int) -> tuple[Any, ...]:
        """Pop `count` values."""
        items = [self.stack.pop() for _ in range(count)]
        return tuple(reversed(items))

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def name(self) -> None:
        module, name = self.last(2)
        self.push(Name(str(module), str(name)))

    def storage(self) -> None:
        kind, type_, key, *_ = self.stack.pop()
        if kind != "storage" or not isinstance(type_, Name) or type_.name not in DTYPES:
            raise UnreadableFile(f"it has values of a type that is not known: {type_}")
        self.push(Storage(DTYPES[type_.name], str(key)))

    def reduce(self) -> None:
        """Stand in for the call of a function."""
        function, arguments = self.last(2)
        if str(function) not in FUNCTIONS:
            raise UnreadableFile(f"it holds an object made by {function}, and only tensors are accepted")
        self.push(FUNCTIONS[str(function)](*arguments))

    def build(self) -> None:
        """Leave out the attributes of a dictionary: torch keeps versions of modules there."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise UnreadableFile("it holds objects with attributes, and only tensors are accepted")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(target, dict) or not isinstance(key, str | int):
                raise UnreadableFile("it holds a dictionary whose keys are no names")
            target[key] = value

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise UnreadableFile("its pickle is broken")
        target.extend(items)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> PickledTensor:
    if not isinstance(storage, Storage):
        raise UnreadableFile("it holds a tensor without a storage")
    (first,) = whole_numbers([offset])
    return PickledTensor(storage, first, whole_numbers(shape), whole_numbers(strides))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda pairs=(): dict(pairs),
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
}

_PUSHED = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE")

STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(_PUSHED, _Machine.push),
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "MARK": lambda machine, _: machine.mark(),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "TUPLE1": lambda machine, _: machine.push(machine.last(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.last(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.last(3)),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(list(machine.last(2))),
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "GLOBAL": lambda machine, name: machine.push(Name(*name.split(" ", 1))),
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "BINPERSID": lambda machine, _: machine.storage(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "NEWOBJ": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
}
