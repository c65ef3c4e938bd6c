"""Prepares a data set for upload: an archive as it is, a folder as a zip, and a label file beside it."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from service.client.folder import printable, read_folder
from service.client.types import Json, Note, Progress
from service.core.text.file_names import LABEL_ENDINGS

BLOCK = 1 << 16  # bytes sent at a time, as httpx reads files
MEDIA_TYPES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".tar.gz": "application/gzip",
    ".tgz": "application/gzip",
    ".npz": "application/x-npz",
}


class Archive(NamedTuple):
    """A data set that is ready to send: an open file at its start."""

    name: str
    file: BinaryIO
    media_type: str
    size: int  # bytes

    def content(self, labels: BinaryIO | None, progress: Progress | None) -> Json:
        """The arguments of a request whose body is the data set, or a form with it and a label file.

        httpx reads the files in blocks while it sends them.
        """
        source = _Source(self, progress)
        if labels is None:
            return {"content": source, "headers": {"Content-Type": self.media_type}}
        label_file = (printable(Path(labels.name).name), labels)
        return {"files": {"file": (self.name, source, self.media_type), "labels": label_file}}


class _Source:
    """The file of an archive as httpx reads it: `fileno` gives the length of the body."""

    def __init__(self, archive: Archive, progress: Progress | None) -> None:
        self._archive, self._progress = archive, progress
        self._sent = 0

    def fileno(self) -> int:
        return self._archive.file.fileno()

    def read(self, size: int) -> bytes:
        """The next bytes; reports those that were sent since the last call."""
        if self._progress and self._sent:
            self._progress(self._sent, self._archive.size)
        block = self._archive.file.read(size)
        self._sent += len(block)
        return block

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self.read, BLOCK), b"")


@contextmanager
def label_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """Open a label file, if there is one. Raises ValueError for a file of another type."""
    if path is None:
        yield None
        return
    if not path.name.lower().endswith(LABEL_ENDINGS):
        raise ValueError(f"{printable(str(path))}: a label file is a file {', '.join(LABEL_ENDINGS)}")
    with path.open("rb") as file:
        yield file


@contextmanager
def archive(path: Path, note: Note) -> Iterator[Archive]:
    """Open a data set. A folder is packed into a temporary zip, which is deleted on exit.

    `note` is called with each remark about files that are left out. Raises ValueError for a file of another type, for a
    folder without files and for files that cannot be sent.
    """
    name = printable((path.resolve() if path.name in ("", "..") else path).name)  # a link keeps its own name
    if path.is_dir():
        with tempfile.TemporaryFile() as file:
            _zip(path, file, note)
            yield _archive(name, file, MEDIA_TYPES[".zip"])
        return
    suffix = next((suffix for suffix in MEDIA_TYPES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise ValueError(f"{path}: a data set is a folder of class folders, or a file {', '.join(MEDIA_TYPES)}")
    with path.open("rb") as file:
        yield _archive(name.removesuffix(suffix), file, MEDIA_TYPES[suffix])


def _archive(name: str, file: BinaryIO, media_type: str) -> Archive:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return Archive(name, file, media_type, size)


def _zip(path: Path, target: BinaryIO, note: Note) -> None:
    """Write the files of a folder as a zip, stored and not deflated: image files are already compressed."""
    folder = read_folder(path)
    remarks = list(folder.remarks())
    if not folder.files:
        expected = "there are no files in it; a data set is a folder of one folder for each class"
        raise ValueError("; ".join([f"{printable(str(path))}: {expected}", *remarks]))
    for remark in remarks:
        note(remark)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for source, name in folder.files:
            archive.write(source, name)
        for name in folder.empty:
            archive.mkdir(name)
