"""The form in which a spec is stored: workers of older releases read it, too."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any


def record(value: Any) -> Any:
    """Plain JSON data with every default filled, but without options that have a `since` and stand at their default.

    A worker refuses a spec with a name that it does not know. A newer option at its default changes nothing, so it is
    left out, at any depth. `value` is a dataclass of the spec or what one of its fields holds.
    """
    if is_dataclass(value):
        return {f.name: record(getattr(value, f.name)) for f in fields(value) if not _is_left_out(f, value)}
    if isinstance(value, tuple):
        return tuple(record(item) for item in value)
    return dict(value) if isinstance(value, Mapping) else value


def _is_left_out(f: Field[Any], owner: Any) -> bool:
    if f.metadata["option"].since is None:
        return False
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    return bool(getattr(owner, f.name) == default)
