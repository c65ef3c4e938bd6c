"""JSON Patches (RFC 6902) of job specs: applied with care, as anyone may send one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
from jsonpatch import JsonPatchException
from jsonpointer import JsonPointerException

from service.core.errors import Fault, Invalid
from service.core.spec import JobSpec

Operations = Sequence[Mapping[str, Any]]

MOST_VALUES = 10_000  # in a patched spec: `copy` doubles what is there
MOST_DEPTH = 32  # of values within values; a spec has about ten
SHOWN = 200  # characters of a complaint, which may repeat what was sent


def plain(spec: JobSpec) -> dict[str, Any]:
    """The spec with every default, as JSON has it: lists where it has tuples."""
    data: dict[str, Any] = json.loads(json.dumps(spec.to_dict()))
    return data


def patched(data: Any, operations: Operations) -> Any:
    """The data after the operations, one after the other; what was given stays as it is.

    Raises Invalid, pointing at the one that cannot be applied by its number (`/0`).
    """
    for number, operation in enumerate(operations):
        try:
            data = jsonpatch.apply_patch(data, [dict(operation)])
        except (JsonPatchException, JsonPointerException) as error:
            detail = f"operation {number} cannot be applied: {str(error)[:SHOWN]}"
            allowed = "operations of RFC 6902 on the spec with all its defaults"
            raise Invalid([Fault(f"/{number}", detail, allowed)]) from error
        if is_too_large(data):
            detail, allowed = f"operation {number} makes too much of the spec", f"at most {MOST_VALUES:,} values"
            raise Invalid([Fault(f"/{number}", detail, f"{allowed}, at most {MOST_DEPTH} within each other")])
    return data


def is_too_large(data: Any) -> bool:
    """Whether JSON data has more than MOST_VALUES values, or more than MOST_DEPTH within each other."""
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
