"""The stored form of a spec, which workers of older releases can read too."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from service.core.spec.options import is_at_default


def record(value: Any) -> Any:
    """Plain JSON data with every default, without options that have `since` and are at their default.

    A worker refuses a spec with an unknown name. A newer option at its default has no effect, so it is omitted, at any
    depth. `value` is a dataclass of the spec or a value of one of its fields.
    """
    if is_dataclass(value):
        kept = (f for f in fields(value) if f.metadata["option"].since is None or not is_at_default(f, value))
        return {f.name: record(getattr(value, f.name)) for f in kept}
    if isinstance(value, tuple):
        return tuple(record(item) for item in value)
    return dict(value) if isinstance(value, Mapping) else value
