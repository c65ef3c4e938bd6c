"""The stored form of a spec, which workers of older releases can read too."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from service.core.spec.options import is_at_default

SINCE = "since"  # in the record of a part: the release that added one of its values


def record(value: Any, *, is_whole: bool = False) -> Any:
    """Plain JSON data with every default, without options that have `since` and are at their default.

    A worker refuses a spec with an unknown name, and not one with an unknown value. A newer option at its default has
    no effect, so it is omitted, at any depth, unless `is_whole`. A part with a newer value has the name `since`, which
    older workers do not know. `value` is a dataclass of the spec or a value of one of its fields.
    """
    if is_dataclass(value):
        kept = [
            f for f in fields(value) if is_whole or f.metadata["option"].since is None or not is_at_default(f, value)
        ]
        newer = [release for f in kept if (release := _release(f.metadata["option"].later, getattr(value, f.name)))]
        stored = {f.name: record(getattr(value, f.name), is_whole=is_whole) for f in kept}
        return stored | ({SINCE: max(newer)} if newer else {})
    if isinstance(value, tuple):
        return tuple(record(item, is_whole=is_whole) for item in value)
    return dict(value) if isinstance(value, Mapping) else value


def _release(later: Mapping[str, str], value: Any) -> str | None:
    """The release that added this value of an option; None for one that is as old as the option."""
    return later.get(value) or later.get(f"{value.partition('/')[0]}/") if isinstance(value, str) else None
