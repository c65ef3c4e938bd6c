"""JSON Patches (RFC 6902) of job specs, with limits on the result: a patch is untrusted input."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
from jsonpatch import JsonPatchException
from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from service.core.errors import Fault, Invalid
from service.core.spec import JobSpec
from service.core.text import shortened

Operation = Mapping[str, Any]
Operations = Sequence[Operation]

MOST_VALUES = 10_000  # in a patched spec; each `copy` operation can double its size
MOST_DEPTH = 32  # levels of nesting; a spec has about ten
SHOWN = 80  # characters of a pointer or a value that an error message repeats


def plain(spec: JobSpec) -> dict[str, Any]:
    """The spec with every default as plain JSON data, with lists in place of tuples."""
    data: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    return data


def patched(data: Any, operations: Operations) -> Any:
    """A copy of the data with the operations applied in order.

    Raises Invalid with the number of the operation that cannot be applied as the pointer (`/0`).
    """
    data = copy.deepcopy(data)
    for number, operation in enumerate(operations):
        try:
            # A move that fails has changed the data; the reason is found in those before it.
            data = jsonpatch.apply_patch(data, [copy.deepcopy(dict(operation))], in_place=operation["op"] != "move")
        except (JsonPatchException, JsonPointerException) as error:
            detail = f"operation {number} cannot be applied: {_reason(data, operation)}"
            allowed = "operations of RFC 6902 on the spec with all its defaults"
            raise Invalid([Fault(f"/{number}", detail, allowed)]) from error
        if _may_grow(operation) and is_too_large(data):
            detail, allowed = f"operation {number} makes the spec too large", f"at most {MOST_VALUES:,} values"
            raise Invalid([Fault(f"/{number}", detail, f"{allowed}, nested at most {MOST_DEPTH} levels deep")])
    return data


def _may_grow(operation: Operation) -> bool:
    """Whether the operation can add values or levels."""
    return operation["op"] != "replace" or isinstance(operation.get("value"), Mapping | list)


def _reason(data: Any, operation: Operation) -> str:
    """Why an operation cannot be applied to the data."""
    op, path = operation["op"], operation["path"]
    source = operation.get("from", "") if op in ("move", "copy") else None
    needed = path if source is None else source
    for pointer in (path, needed):
        if not is_pointer(pointer):
            return f"{_shown(pointer)} is not a JSON pointer"
    if op != "add" and not _has(data, needed):
        return f"nothing is at {_shown(needed)}"
    if op == "test":
        present, tested = JsonPointer(path).resolve(data), operation.get("value")
        return f"the value at {_shown(path)} is {_as_json(present)}, not {_as_json(tested)}"
    if op == "move" and path.startswith(f"{source}/"):
        return "a value cannot be moved into itself"
    return f"{op} is not possible at {_shown(path)}"


def is_pointer(text: str) -> bool:
    """Whether the text is a JSON pointer (RFC 6901)."""
    try:
        JsonPointer(text)
    except JsonPointerException:
        return False
    return True


def _has(data: Any, pointer: str) -> bool:
    """Whether there is a value at a pointer; `-` is the place after the last item of a list."""
    try:
        return not isinstance(JsonPointer(pointer).resolve(data), EndOfList)
    except JsonPointerException:
        return False


def _shown(pointer: str) -> str:
    return repr(shortened(pointer, SHOWN))


def _as_json(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False), SHOWN)


def is_too_large(data: Any) -> bool:
    """Whether JSON data has more than MOST_VALUES values or more than MOST_DEPTH levels."""
    count, waiting = 0, [(data, 1)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > MOST_VALUES or depth > MOST_DEPTH:
            return True
        if isinstance(value, Mapping):
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
    return False
