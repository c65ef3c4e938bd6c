"""Records of other releases: members that this release does not know are left out."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def known_members(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of plain data that a dataclass has fields for."""
    return {field.name: data[field.name] for field in fields(kind) if field.name in data}
