"""From the names in an archive to classes: `class/picture`, under one wrapping folder or none, and under the folders
train, val and test where the set comes divided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from service.core.errors import InvalidData

PART_NAMES = ("train", "validation", "test")
FOLDERS = (("train", "training"), ("val", "valid", "validation"), ("test", "testing"))  # by part
PARTS: Mapping[str, int] = {folder: part for part, folders in enumerate(FOLDERS) for folder in folders}
JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
CHECKPOINTS = "checkpoints"  # a folder within the set, left by a training
DEEP = 3  # parts of a name with a folder around its class


@dataclass(frozen=True)
class Place:
    """What a picture's name says: its class, and its part of the split (an index of PART_NAMES)."""

    label: str
    part: int


@dataclass(frozen=True)
class Layout:
    """Where each name belongs; None for what lies above the classes. `is_divided`: by train, val and test folders."""

    places: tuple[Place | None, ...]
    is_divided: bool


def is_passed_over(name: str) -> bool:
    """Whether a file is none of the user's: hidden, or left by an operating system."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part in JUNK for part in parts) or CHECKPOINTS in parts[1:-1]


def arrange(names: Sequence[str], others: Sequence[str] = ()) -> Layout:
    """Place the names of pictures, then those of other files, which do not decide what the folders mean.

    Raises InvalidData where the folders train, val and test contradict each other.
    """
    paths, beside = ([PurePosixPath(name).parts for name in some] for some in (names, others))
    if paths and len({path[0] for path in paths}) == 1 and any(len(path) >= DEEP for path in paths):
        wrapper = paths[0][0]
        paths = [path[1:] for path in paths]
        beside = [path[1:] if path[0] == wrapper else () for path in beside]
    tops = {path[0].lower() for path in paths if len(path) > 1}
    is_divided = bool(tops) and tops <= PARTS.keys() and any(len(path) >= DEEP for path in paths)
    if is_divided and 0 not in {PARTS[top] for top in tops}:
        raise InvalidData(f"there are folders {', '.join(sorted(tops))} and none called train")
    return Layout(tuple(_place(path, is_divided=is_divided) for path in (*paths, *beside)), is_divided)


def _place(path: tuple[str, ...], *, is_divided: bool) -> Place | None:
    if len(path) < DEEP - (not is_divided) or (is_divided and path[0].lower() not in PARTS):
        return None
    return Place(path[1], PARTS[path[0].lower()]) if is_divided else Place(path[0], 0)
