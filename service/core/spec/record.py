"""The form in which a spec is stored: workers of older releases read it, too."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from service.core.spec.options import is_at_default


def record(value: Any) -> Any:
    """Plain JSON data with every default filled, but without options that have a `since` and stand at their default.

    A worker refuses a spec with a name that it does not know. A newer option at its default changes nothing, so it is
    left out, at any depth. `value` is a dataclass of the spec or what one of its fields holds.
    """
    if is_dataclass(value):
        kept = (f for f in fields(value) if f.metadata["option"].since is None or not is_at_default(f, value))
        return {f.name: record(getattr(value, f.name)) for f in kept}
    if isinstance(value, tuple):
        return tuple(record(item) for item in value)
    return dict(value) if isinstance(value, Mapping) else value
