"""The paths of pictures, and the refusals that every layout shares."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.core.errors import InvalidData
from service.core.text import counted, first_of
from workers.datasets.ingest.detection import of_detection

EXPECTED = (
    "expected: one folder for each class (cat/1.jpg, dog/2.jpg), which may lie within folders train, val and test; or "
    "a label file, labels.csv with the columns file_name and label, in the archive or sent beside it"
)
SHOWN = 5  # folders in a message
BELOW_A_FOLDER = 2  # parts of a path that is longer than a folder and a file

Path = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a picture belongs: its class, and its part of the split (an index of PART_NAMES)."""

    label: str
    part: int


def split_path(name: str) -> Path:
    """The parts of a name in Unicode's composed form (NFC)."""
    return tuple(unicodedata.normalize("NFC", name).split("/"))


def folder_at(path: Path, depth: int) -> str | None:
    """The folder at a depth, 0 for the outermost; None where the file itself lies there, or above."""
    return path[depth] if len(path) > depth + 1 else None


def wrapper_of(paths: Collection[Path]) -> Path:
    """The folders that all pictures have in common, as long as there are folders below."""
    root: Path = ()
    while any(len(path) > len(root) + BELOW_A_FOLDER for path in paths):
        tops = {folder_at(path, len(root)) for path in paths}
        top = tops.pop()
        if tops or top is None:
            break
        root = (*root, top)
    return root


def listed(names: Iterable[str]) -> str:
    """The first names, quoted: `'cat', 'dog' and 3 more`."""
    return first_of(map(repr, sorted(names)), SHOWN)


def refuse_loose(paths: Mapping[str, Path]) -> None:
    """Raise InvalidData for pictures that lie in no folder."""
    if loose := [name for name, path in paths.items() if len(path) == 1]:
        count = len(loose)
        lie = f"{counted(count, 'image')} {'lies' if count == 1 else 'lie'} in no folder of a class"
        raise InvalidData(f"{lie}, such as {loose[0]!r}; {EXPECTED}")


def refuse_flat(paths: Mapping[str, Path], others: Sequence[str]) -> None:
    """Raise InvalidData if no picture lies in a folder. `others` are the files that are no pictures."""
    if all(len(path) == 1 for path in paths.values()):
        name = next(iter(paths))
        remark = f" ({sign})" if (sign := of_detection(others)) else ""
        raise InvalidData(f"no folders give the classes of the images, such as {name!r}{remark}; {EXPECTED}")
