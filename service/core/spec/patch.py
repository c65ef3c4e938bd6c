"""JSON Patches (RFC 6902) of job specs, with limits on the result: a patch is untrusted input."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
from jsonpatch import JsonPatchException
from jsonpointer import JsonPointerException

from service.core.errors import Fault, Invalid
from service.core.spec import JobSpec

Operations = Sequence[Mapping[str, Any]]

MOST_VALUES = 10_000  # in a patched spec; each `copy` operation can double its size
MOST_DEPTH = 32  # levels of nesting; a spec has about ten
SHOWN = 200  # characters of an error message, which may repeat parts of the patch


def plain(spec: JobSpec) -> dict[str, Any]:
    """The spec with every default as plain JSON data, with lists in place of tuples."""
    data: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    return data


def patched(data: Any, operations: Operations) -> Any:
    """A copy of the data with the operations applied in order.

    Raises Invalid with the number of the operation that cannot be applied as the pointer (`/0`).
    """
    for number, operation in enumerate(operations):
        try:
            data = jsonpatch.apply_patch(data, [dict(operation)])
        except (JsonPatchException, JsonPointerException) as error:
            detail = f"operation {number} cannot be applied: {str(error)[:SHOWN]}"
            allowed = "operations of RFC 6902 on the spec with all its defaults"
            raise Invalid([Fault(f"/{number}", detail, allowed)]) from error
        if is_too_large(data):
            detail, allowed = f"operation {number} makes the spec too large", f"at most {MOST_VALUES:,} values"
            raise Invalid([Fault(f"/{number}", detail, f"{allowed}, nested at most {MOST_DEPTH} levels deep")])
    return data


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
