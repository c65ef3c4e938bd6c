"""Prepares a data set for upload: an archive as it is, a folder as a zip."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from service.client.folder import printable, read_folder
from service.client.types import Note, Progress

BLOCK = 1 << 18  # bytes sent at a time
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

    def blocks(self, progress: Progress | None) -> Iterator[bytes]:
        """The content in blocks; calls `progress` after each block was sent."""
        sent = 0
        while block := self.file.read(BLOCK):
            yield block
            sent += len(block)
            if progress:
                progress(sent, self.size)


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
