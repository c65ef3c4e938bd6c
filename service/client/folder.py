"""The files of a folder that is sent as a data set. Links are followed. Whatever is not sent is named."""

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from service.core.text import first_of
from service.core.text.file_names import is_hidden, is_litter

SHOWN = 20  # names in a message
Identity = tuple[int, int]  # device and inode of a folder


@dataclass
class Folder:
    """What is in a folder. Names are relative to it, with forward slashes.

    `files` are paths with their names, `empty` are folders without files. The other lists are names that are left out:
    hidden files and folders, files and folders that systems and tools make (the service passes over them too), links
    whose target is missing, links to a folder that contains them, and pipes and devices.
    """

    files: list[tuple[Path, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    broken_links: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)

    def remarks(self) -> Iterator[str]:
        """What is left out, in words."""
        for names, what in (
            (self.broken_links, "links to files that are not here (git annex get or dvc pull fetches them)"),
            (self.loops, "links to a folder that contains them"),
            (self.special, "pipes, sockets or devices"),
            (self.hidden, "hidden files or folders"),
            (self.litter, "files or folders that systems or tools made"),
        ):
            if names:
                yield f"left out {len(names)} {what}: {_list(names)}"


class _Step(NamedTuple):
    """A folder to visit. `above` identifies the folders that it is in."""

    path: Path
    name: str
    above: frozenset[Identity]


def read_folder(folder: Path) -> Folder:
    """List the files below a folder, in order of their names.

    Raises ValueError with the names of all files that cannot be sent: unreadable ones, and names that are not UTF-8.
    """
    found, unreadable = Folder(), list[str]()
    waiting = [_Step(folder, "", frozenset())]
    while waiting:
        step = waiting.pop()
        try:
            waiting += list(_visit(step, found))
        except PermissionError as error:
            unreadable.append(os.path.relpath(error.filename, folder))
    found.files.sort(key=lambda file: file[1])
    unreadable += [name for path, name in found.files if not os.access(path, os.R_OK)]
    _refuse(unreadable, [name for name in (*(name for _, name in found.files), *found.empty) if not _is_utf8(name)])
    return found


def _visit(step: _Step, found: Folder) -> Iterator[_Step]:
    """Add the files of one folder, and yield the folders in it."""
    status = step.path.stat()
    here = (status.st_dev, status.st_ino)
    if here in step.above:
        found.loops.append(step.name)
        return
    is_empty = True
    for path in sorted(step.path.iterdir()):
        name = f"{step.name}/{path.name}" if step.name else path.name
        if path.name.startswith("."):
            found.hidden.append(name)
            continue
        if is_hidden(name) or is_litter(name):
            found.litter.append(name)
            continue
        mode = _mode(path)
        if mode is None:
            found.broken_links.append(name)
        elif stat.S_ISDIR(mode):
            is_empty = False
            yield _Step(path, name, step.above | {here})
        elif stat.S_ISREG(mode):
            is_empty = False
            found.files.append((path, name))
        else:
            found.special.append(name)
    if is_empty and step.name:
        found.empty.append(step.name)


def _mode(path: Path) -> int | None:
    """The mode of a file or of the target of a link; None for a link without a target."""
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except OSError:
        return None


def _refuse(unreadable: Sequence[str], not_utf8: Sequence[str]) -> None:
    faults = []
    if unreadable:
        faults.append(f"no permission to read {_list(unreadable)}")
    if not_utf8:
        faults.append(f"names that are not UTF-8, rename them: {_list(not_utf8)}")
    if faults:
        raise ValueError("nothing was sent: " + "; ".join(faults))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # Python keeps other bytes as lone surrogates
        return False
    return True


def _list(names: Sequence[str]) -> str:
    return first_of(map(printable, names), SHOWN)


def printable(name: str) -> str:
    """The name of a file with escapes for bytes that are not UTF-8 and for control characters: `K\\xe4tzchen.png`."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        ascii(character)[1:-1] if unicodedata.category(character) == "Cc" else character for character in text
    )
