"""Finds the picture that a row of a label file means."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from urllib.parse import unquote

from service.core.errors import InvalidData
from service.core.text.file_names import is_hidden
from workers.datasets.ingest.paths import split_path

MOST_COMPARED = 1000  # pictures that one row may mean
ADDRESS_END = re.compile("[?#].*")
LOCAL = re.compile(r".*/local-files/\?d=")  # Label Studio's address of a file of the server
UPLOADED = re.compile("[0-9a-f]{8}-(?=[^/]+$)")  # Label Studio's prefix of a file that was uploaded


@dataclass(frozen=True)
class PictureNames:
    """The names of pictures by their path, and the paths in the order of their ends, with the ending of the file and
    without. An end has the parts of a path backwards, in lower case. Hidden pictures are found by their path alone.
    """

    by_path: dict[str, str]
    ends: Sequence[tuple[str, str]]
    bare_ends: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, names: Sequence[str]) -> "PictureNames":
        by_path = {"/".join(split_path(name)): name for name in names}
        seen = [path for path in by_path if not is_hidden(path)]
        return cls(
            by_path,
            sorted((_end(path), path) for path in seen),
            sorted((_end(_without_ending(path)), path) for path in seen),
        )

    def find(self, folder: str, file: str, label: str) -> str:
        """The name of the only picture that a row can mean: by the path from the label file's folder; by the end of
        that path, as of an address; by the end of a picture's path, with its ending or without, in upper or lower case.
        Of several pictures, the row means the one in a folder called like its label. Raises InvalidData.
        """
        above = f"{folder}/" if folder else ""
        for spelling in _spellings(file):
            if paths := self._paths(above, spelling, label):
                if len(paths) > 1:
                    raise InvalidData(f"{file!r} may be {paths[0]!r} or {paths[1]!r}; give more of the path")
                return self.by_path[paths[0]]
        raise InvalidData(f"there is no image {file!r}")

    def _paths(self, above: str, file: str, label: str) -> list[str]:
        parts = [part for part in file.replace("\\", "/").split("/") if part not in ("", ".")]
        for first in range(len(parts)):
            if (path := above + "/".join(parts[first:])) in self.by_path:
                return [path]
        end = _end("/".join(parts))
        for ends in (self.ends, self.bare_ends) if parts else ():
            if len(parts) == 1 and (paths := _below(ends, f"{end}{_end(label)}", above)):
                return paths
            if paths := _below(ends, end, above):
                return [path for path in paths if label in path.split("/")[:-1]] or paths
        return []


def _spellings(file: str) -> Iterator[str]:
    """The name as it is, as the path in an address, and without what tools put before it."""
    yield file
    path = ADDRESS_END.sub("", file) if "://" in file else file
    path = unquote(LOCAL.sub("", path))
    yield path
    yield UPLOADED.sub("", path)


def _below(ends: Sequence[tuple[str, str]], end: str, above: str) -> list[str]:
    """The paths that have an end, and lie in a folder."""
    first = bisect_left(ends, (end,))
    near = takewhile(lambda pair: pair[0].startswith(end), islice(ends, first, first + MOST_COMPARED))
    return [path for _, path in near if path.startswith(above)]


def _end(path: str) -> str:
    return "".join(f"{part}/" for part in reversed(path.casefold().split("/")))


def _without_ending(path: str) -> str:
    stem, dot, ending = path.rpartition(".")
    return stem if dot and "/" not in ending else path
